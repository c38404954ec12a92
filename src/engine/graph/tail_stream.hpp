// The rows of the tail. They have no links yet, so all of them are estimated when a search begins.
#pragma once

#include "engine/graph/exact_scan.hpp"
#include "engine/graph/refinement.hpp"
#include "engine/graph/result_stream.hpp"
#include "engine/graph/search_context.hpp"

namespace dvec::graph {

class TailStream {
  public:
    // Estimates the ids from context.marks.linked on. `context` must outlive the stream. After
    // Code::interrupted it must be started again.
    base::Status start(SearchContext &context) {
        context_ = &context;
        rows_.reset(kept_entries);
        const Watermarks &marks = context.marks;
        DVEC_TRY(scan_all(context, marks.linked, marks.allocated, rows_));
        context.statistics.tail = marks.allocated - marks.linked;
        return {};
    }

    Head head() {
        // A row may have been deleted since.
        for (; !rows_.empty(); rows_.take())
            if (const Ranked nearest = rows_.nearest(*context_); context_->admits(nearest.id()))
                return nearest;
        return Head();
    }
    void take() { rows_.take(); }

    // What the distance of the head is at least, without measuring anything; nullopt at the end.
    Head least() { return rows_.empty() ? Head() : Head(rows_.least()); }

    std::size_t memory_bytes() const noexcept { return rows_.memory_bytes(); }

  private:
    SearchContext *context_ = nullptr;
    Refinement rows_;
};
static_assert(ResultStream<TailStream>);

}  // namespace dvec::graph
