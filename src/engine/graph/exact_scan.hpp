// The exact part of a search: measures every live slot of a range of ids. It is used for the tail,
// where there are no links yet, and to complete a search that wants more rows than the graph gives.
#pragma once

#include <vector>

#include "engine/base/status.hpp"
#include "engine/graph/refinement.hpp"
#include "engine/graph/result_stream.hpp"
#include "engine/graph/search_context.hpp"

namespace dvec::graph {

// Adds every node of [first, last) that the context admits to `found`. Code::interrupted leaves
// `found` incomplete.
base::Status scan_all(SearchContext &context, NodeId first, NodeId last, Refinement &found);

// Estimates from a sample how many linked nodes are not farther than context.count_within. For the
// same nodes the sample is always the same.
std::uint64_t estimate_within(SearchContext &context);

// Estimates from another sample which share of the linked nodes' vectors is not in memory. This
// sample must not be the nodes that estimate_within() measures: those were read for this search or
// an earlier one, and stay in memory when the rest does not.
double share_missing(const SearchContext &context);

// Streams the linked nodes whose distances lie in an interval, nearest first, in bounded memory:
// each pass over the slots keeps a number of the nearest nodes that were not streamed yet, and each
// pass keeps more than the one before, up to a limit. Where the context counts the rows within a
// distance, the first pass keeps those rows, and of the others only the nearest one.
class IntervalScan {
  public:
    // Begins the interval (after, until]. Nodes in `except` (sorted by id) are left out; it must
    // outlive the scan.
    void start(Ranked after, Ranked until, const std::vector<NodeId> &except);

    // The nearest node not yet taken, nullopt at the end. Makes passes when needed;
    // Code::interrupted keeps the position.
    base::Result<Head> nearest(SearchContext &context);
    void take() noexcept { ++position_; }

    // Gives back memory for more than kept_entries entries.
    void release_memory();
    std::size_t memory_bytes() const noexcept { return chunk_.capacity() * sizeof(Ranked); }

  private:
    std::size_t size_of_pass(const SearchContext &context, bool counting) const;
    base::Status fill(SearchContext &context);

    std::vector<Ranked> chunk_;
    std::size_t position_ = 0;
    std::size_t chunk_size_ = 0;  // how many the next pass keeps
    Ranked after_;
    Ranked until_;
    const std::vector<NodeId> *except_ = nullptr;
    bool last_chunk_ = false;
};

}  // namespace dvec::graph
