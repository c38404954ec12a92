// What the graph stream has left out, by exact scans of all linked nodes.
#pragma once

#include <algorithm>
#include <vector>

#include "engine/graph/exact_scan.hpp"
#include "engine/graph/result_stream.hpp"
#include "engine/graph/search_context.hpp"

namespace dvec::graph {

// Two parts, each in order of distance: first the rows beyond the farthest that the graph stream
// has returned; then, when the caller has begun it, those that are nearer and were missed.
class CompletionStream {
  public:
    // Begins the first part. `returned` has the rows that the graph stream has returned, sorted by
    // id, and `farthest` is the farthest of them, Ranked::first() when there are none. `context`
    // and `returned` must outlive the stream.
    void start(SearchContext &context, Ranked farthest, const std::vector<NodeId> &returned) {
        context_ = &context;
        farthest_ = farthest;
        returned_ = &returned;
        part_ = Part::beyond;
        scan_.start(farthest, Ranked::last(), returned);
    }
    // Empty until it is started.
    void reset() {
        part_ = Part::none;
        scan_.release_memory();
    }

    // The next row of the part. Code::interrupted: calling again goes on.
    base::Result<Head> head() {
        if (part_ == Part::none)
            return Head();
        for (;; scan_.take()) {
            base::Result<Head> head = scan_.nearest(*context_);
            // A row may have been deleted since it was measured.
            if (!head.ok() || !head.value() || context_->admits(head.value()->id()))
                return head;
        }
    }
    void take() noexcept { scan_.take(); }

    // Goes on from the end of the first part to the second; false when there is none.
    bool begin_missed() {
        // A walk that has returned nothing has missed nothing.
        if (part_ != Part::beyond || returned_->empty())
            return false;
        part_ = Part::missed;
        scan_.start(Ranked::first(), farthest_, *returned_);
        return true;
    }

    std::size_t memory_bytes() const noexcept { return scan_.memory_bytes(); }

  private:
    enum class Part : std::uint8_t { none, beyond, missed };

    SearchContext *context_ = nullptr;
    IntervalScan scan_;
    Ranked farthest_;
    const std::vector<NodeId> *returned_ = nullptr;
    Part part_ = Part::none;
};
static_assert(ResultStream<CompletionStream>);

}  // namespace dvec::graph
