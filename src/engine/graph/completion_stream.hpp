// The rows that the graph stream has left out, found by exact scans of all linked nodes.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/graph/admitted_scan.hpp"
#include "engine/graph/exact_scan.hpp"
#include "engine/graph/result_stream.hpp"
#include "engine/graph/search_context.hpp"
#include "engine/graph/sketched_scan.hpp"

namespace dvec::graph {

// Two parts, each in order of distance: first the rows beyond the farthest that the graph stream
// has returned; then, when the caller has begun it, those that are nearer and were missed. Where
// there is a filter, the nearest of the first part come from scans of their own, of which the one
// by sketches may miss some, too.
class CompletionStream {
  public:
    // Begins the first part. `returned` has the rows that the graph stream has returned, sorted by
    // id, and `farthest` is the farthest of them, Ranked::first() when there are none. `context`
    // and `returned` must outlive the stream. Where `by_sketches` is not 0, about so many rows come
    // from a scan by sketches.
    void start(SearchContext &context, Ranked farthest, const std::vector<NodeId> &returned,
               std::size_t by_sketches) {
        context_ = &context;
        farthest_ = farthest;
        returned_ = &returned;
        if (by_sketches > 0) {
            part_ = Part::likely;
            sketched_.start(farthest, returned, by_sketches);
        } else {
            start_exact();
        }
    }
    // Empty until it is started.
    void reset() {
        part_ = Part::none;
        scan_.release_memory();
        admitted_.release_memory();
        sketched_.release_memory();
    }

    // The next row of the part. After Code::interrupted, calling again goes on.
    base::Result<Head> head() {
        if (part_ == Part::none)
            return Head();
        for (;; take()) {
            base::Result<Head> head = next_measured();
            // A row may have been deleted since it was measured.
            if (!head.ok() || !head.value() || context_->admits(head.value()->id()))
                return head;
        }
    }
    void take() {
        if (part_ == Part::likely)
            sketched_.take();
        else if (part_ == Part::nearest)
            admitted_.take();
        else
            scan_.take();
    }

    // As GraphStream::least.
    Head least() {
        if (part_ == Part::likely)
            return sketched_.least();
        return part_ == Part::nearest ? admitted_.least() : Head();
    }

    // Goes on from the end of the first part to the second part; false when there is no second
    // part.
    bool begin_missed() {
        // A walk that has returned nothing has missed nothing.
        if ((part_ != Part::nearest && part_ != Part::beyond) || returned_->empty())
            return false;
        // The scan has looked at all admitted rows, so it knows whether any were missed.
        if (part_ == Part::nearest && !admitted_.met_nearer())
            return false;
        part_ = Part::missed;
        scan_.start(Ranked::first(), farthest_, *returned_);
        return true;
    }

    std::size_t memory_bytes() const noexcept {
        return scan_.memory_bytes() + admitted_.memory_bytes() + sketched_.memory_bytes() +
               all_returned_.capacity() * sizeof(NodeId);
    }

  private:
    enum class Part : std::uint8_t { none, likely, nearest, beyond, missed };

    void start_exact() {
        SearchContext &context = *context_;
        context.statistics.exact = true;
        // The scan of admitted rows does not count, since it does not measure all rows by their
        // vectors.
        if (context.filter != nullptr && std::isnan(context.count_within)) {
            part_ = Part::nearest;
            admitted_.start(farthest_, *returned_);
        } else {
            part_ = Part::beyond;
            scan_.start(farthest_, Ranked::last(), *returned_);
        }
    }
    // Goes on from what the scan by sketches has returned.
    void leave_sketches() {
        all_returned_ = *returned_;
        all_returned_.insert(all_returned_.end(), sketched_.taken().begin(),
                             sketched_.taken().end());
        std::sort(all_returned_.begin(), all_returned_.end());
        returned_ = &all_returned_;
        farthest_ = sketched_.last();
        start_exact();
    }

    base::Result<Head> next_measured() {
        if (part_ == Part::likely) {
            base::Result<Head> head = sketched_.nearest(*context_);
            if (!head.ok() || head.value())
                return head;
            leave_sketches();
        }
        if (part_ == Part::nearest) {
            base::Result<Head> head = admitted_.nearest(*context_);
            if (!head.ok() || head.value() || admitted_.complete())
                return head;
            part_ = Part::beyond;
            scan_.start(admitted_.last(), Ranked::last(), *returned_);
        }
        return scan_.nearest(*context_);
    }

    SearchContext *context_ = nullptr;
    SketchedScan sketched_;
    AdmittedScan admitted_;
    IntervalScan scan_;
    Ranked farthest_;
    const std::vector<NodeId> *returned_ = nullptr;
    std::vector<NodeId> all_returned_;
    Part part_ = Part::none;
};
static_assert(ResultStream<CompletionStream>);

}  // namespace dvec::graph
