// The nearest rows that a filter admits, by a pass over the keys of all linked nodes. Rows are
// measured by their codes where there are codes, and those that come out nearest by their vectors.
#pragma once

#include <vector>

#include "engine/base/status.hpp"
#include "engine/graph/refinement.hpp"
#include "engine/graph/result_stream.hpp"
#include "engine/graph/search_context.hpp"

namespace dvec::graph {

// Keeps about the nearest thousand rows. A caller that wants more goes on with IntervalScan from
// where this ends.
class AdmittedScan {
  public:
    // Begins a scan for rows farther than `after`, without those in `except` (sorted by id), which
    // must outlive the scan.
    void start(Ranked after, const std::vector<NodeId> &except);

    // The nearest row not yet taken, nullopt at the end. The first call makes the pass; after
    // Code::interrupted the next call makes it anew. The rows returned may include rows that are
    // gone.
    base::Result<Head> nearest(SearchContext &context);
    void take() {
        last_ = last_ < head_ ? head_ : last_;
        rows_.take();
    }

    // At the end of the scan: complete() tells whether no admitted row lies behind the last one
    // returned, and met_nearer() whether the scan has met rows that are not farther than `after`
    // and not in `except`.
    bool complete() const noexcept { return all_kept_; }
    bool met_nearer() const noexcept { return met_nearer_; }
    // The last row taken, `after` before the first.
    Ranked last() const noexcept { return last_; }
    // A lower bound of the distance of the nearest row not yet taken, found without measuring
    // anything; nullopt where none is known.
    Head least();

    void release_memory();
    std::size_t memory_bytes() const noexcept {
        return rows_.memory_bytes() + kept_.capacity() * sizeof(Ranked);
    }

  private:
    base::Status pass(SearchContext &context);
    void keep(Ranked row);
    void cut_back();

    static constexpr std::size_t most_kept = 1024;

    Refinement rows_;
    std::vector<Ranked> kept_;  // of the pass, by their bounds
    Ranked limit_;              // those that were not kept are not nearer than this
    Ranked after_;
    Ranked last_;
    Ranked head_;
    const std::vector<NodeId> *except_ = nullptr;
    bool passed_ = false;
    bool all_kept_ = false;
    bool met_nearer_ = false;
};

}  // namespace dvec::graph
