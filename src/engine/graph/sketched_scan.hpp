// The nearest rows that a filter admits, by a pass over the keys of all linked nodes that measures
// only the rows whose sketches (sketches.hpp) do not shut them out. It misses a row now and then.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "engine/base/status.hpp"
#include "engine/graph/candidate.hpp"
#include "engine/graph/refinement.hpp"
#include "engine/graph/result_stream.hpp"
#include "engine/graph/search_context.hpp"
#include "engine/graph/sketches.hpp"

namespace dvec::graph {

class SketchedScan {
  public:
    // Begins a scan for rows farther than `after`, without those in `except` (sorted by id), which
    // must outlive the scan. It is to return about `wanted` rows. context.sketches must be there
    // when nearest() is called.
    void start(Ranked after, const std::vector<NodeId> &except, std::size_t wanted);

    // The nearest row not yet taken; nullopt where the scan ends: further rows, and those that it
    // has missed, are for another scan to find. The first call makes the pass; after
    // Code::interrupted the next call makes it anew. The rows returned may include rows that are
    // gone.
    base::Result<Head> nearest(SearchContext &context);
    void take();

    // The last row taken, `after` before the first; and all that were taken, in order.
    Ranked last() const noexcept { return last_; }
    const std::vector<NodeId> &taken() const noexcept { return taken_; }
    // A lower bound of the distance of the nearest row not yet taken, as far as the scan goes;
    // nullopt where none is known.
    Head least();

    void release_memory();
    std::size_t memory_bytes() const noexcept {
        return rows_.memory_bytes() + candidates_.capacity() * sizeof(Candidate) +
               (unknown_.capacity() + taken_.capacity()) * sizeof(NodeId) +
               measured_.capacity() * sizeof(Ranked);
    }

  private:
    base::Status pass(SearchContext &context);
    base::Status look_at_sketches(SearchContext &context);
    base::Status measure_unknown(SearchContext &context);
    void measure_candidates(SearchContext &context);
    void measure(SearchContext &context, NodeId id);
    void keep(Candidate candidate);
    void cut_back();
    Candidate limit_by_measured();

    // Candidates are put in order at the cost of some nanoseconds each, so no more are kept than
    // are worth measuring.
    static constexpr std::size_t least_kept = 2048;
    static constexpr double share_kept = 1.0 / 8;

    Sketches::Query query_;
    std::vector<Candidate> candidates_;  // by what their sketches say, until they are measured
    std::size_t most_kept_ = least_kept;
    Candidate limit_of_kept_ = 0;     // candidates that were not kept are not nearer than this
    std::vector<NodeId> unknown_;     // rows without a sketch
    std::vector<Candidate> nearest_;  // of those measured, as a heap, the farthest first
    std::vector<Ranked> measured_;
    Refinement rows_;
    Ranked limit_;  // the scan ends before this
    Ranked after_;
    Ranked last_;
    Ranked head_;
    const std::vector<NodeId> *except_ = nullptr;
    std::vector<NodeId> taken_;
    std::size_t wanted_ = 0;
    bool passed_ = false;
};

}  // namespace dvec::graph
