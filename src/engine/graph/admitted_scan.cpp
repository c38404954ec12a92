// One pass that keeps the rows with the least bounds.
#include "engine/graph/admitted_scan.hpp"

#include <algorithm>

#include "engine/graph/slot_pass.hpp"

namespace dvec::graph {

using base::Result;
using base::Status;

void AdmittedScan::start(Ranked after, const std::vector<NodeId> &except) {
    release_memory();
    after_ = last_ = after;
    except_ = &except;
    passed_ = all_kept_ = met_nearer_ = false;
}

Result<Head> AdmittedScan::nearest(SearchContext &context) {
    if (!passed_)
        DVEC_TRY(pass(context));
    for (; !rows_.empty(); rows_.take()) {
        head_ = rows_.nearest(context);
        // Rows at equal distances are ordered by id, and a row that was not kept may be at the
        // distance of the limit and have a lower id. So the scan ends before the limit.
        if (!all_kept_ && !(head_.distance() < limit_.distance()))
            return Head();
        if (head_ > after_)
            return Head(head_);
        met_nearer_ = true;
    }
    return Head();
}

Head AdmittedScan::least() {
    if (!passed_ || rows_.empty())
        return Head();
    return std::min(rows_.least(), limit_);
}

Status AdmittedScan::pass(SearchContext &context) {
    kept_.clear();
    limit_ = Ranked::last();
    const SearchStatistics before = context.statistics;
    auto excepted = except_->begin();
    const auto estimate = [&](const NodeId *ids, std::size_t count) {
        if (context.worth_a_batch() && count == SearchContext::batch) {
            Candidate candidates[SearchContext::batch];
            context.estimate_batch(ids, candidates);
            for (const Candidate candidate : candidates)
                keep(context.bound(candidate));
        } else {
            for (std::size_t i = 0; i < count; ++i)
                keep(context.bound(context.estimate(ids[i])));
        }
    };
    const auto use = [&](const NodeId *ids, std::size_t count) {
        if (excepted == except_->end())
            return estimate(ids, count);
        for (std::size_t i = 0; i < count; ++i) {
            while (excepted != except_->end() && *excepted < ids[i])
                ++excepted;
            if (excepted == except_->end() || *excepted != ids[i])
                estimate(ids + i, 1);
        }
    };
    const Status status = pass_over_admitted(context, Measured::estimate, use);
    context.statistics.scanned += context.statistics.distances - before.distances;
    if (!status.ok()) {
        // The pass will be made anew, and its refusals are to be counted once.
        context.statistics.refused = before.refused;
        return status;
    }
    passed_ = true;
    all_kept_ = limit_ == Ranked::last();
    rows_.reset(kept_entries);
    for (const Ranked row : kept_)
        rows_.add(row);
    return {};
}

// Twice as many rows are gathered as are kept, so that the cost of cutting back is spread over as
// many additions.
void AdmittedScan::keep(Ranked row) {
    if (row > limit_)
        return;
    kept_.push_back(row);
    if (kept_.size() == 2 * most_kept)
        cut_back();
}

void AdmittedScan::cut_back() {
    const auto middle = kept_.begin() + static_cast<std::ptrdiff_t>(most_kept - 1);
    std::nth_element(kept_.begin(), middle, kept_.end());
    limit_ = *middle;
    kept_.resize(most_kept);
}

void AdmittedScan::release_memory() {
    rows_.reset(kept_entries);
    kept_.clear();
}

}  // namespace dvec::graph
