// The exact part of a search: measures every live slot of a range of ids. It serves the tail, where
// there are no links yet, and completes a search that wants more than the graph gives.
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

// How many linked nodes are not farther than context.count_within, by a sample of them: the same
// for the same nodes.
std::uint64_t estimate_within(SearchContext &context);

// Which share of the linked nodes' vectors is not in memory, by another sample. It is not the nodes
// that estimate_within() has measured, for this search or an earlier one: those stay in memory when
// the rest does not.
double share_missing(const SearchContext &context);

// Streams the linked nodes whose distances lie in an interval, nearest first, in bounded memory:
// each pass over the slots keeps the nearest so many that were not streamed yet, each pass more of
// them. Where the context counts what is within a distance, the first pass keeps those, and of the
// others the nearest.
class IntervalScan {
  public:
    // Begins the interval (after, until]. Nodes in `except` (sorted by id) are left out; it must
    // outlive the scan.
    void start(Ranked after, Ranked until, const std::vector<NodeId> &except);

    // The nearest node not yet taken, nullopt at the end. Makes passes when needed;
    // Code::interrupted keeps the position.
    base::Result<Head> nearest(SearchContext &context);
    void take() noexcept { ++position_; }

    // Beyond kept_entries.
    void release_memory();
    std::size_t memory_bytes() const noexcept { return chunk_.capacity() * sizeof(Ranked); }

  private:
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
