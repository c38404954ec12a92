// One pass over keys and sketches, then the vectors of those that are left.
#include "engine/graph/sketched_scan.hpp"

#include <algorithm>

#include "engine/graph/beam.hpp"
#include "engine/graph/slot_pass.hpp"

namespace dvec::graph {

using base::Code;
using base::Result;
using base::Status;

namespace {
constexpr int rows_ahead = 8;  // whose lines are fetched while another row is measured
}

void SketchedScan::start(Ranked after, const std::vector<NodeId> &except, std::size_t wanted) {
    release_memory();
    after_ = last_ = after;
    except_ = &except;
    wanted_ = wanted;
    taken_.clear();
    passed_ = false;
}

Result<Head> SketchedScan::nearest(SearchContext &context) {
    if (!passed_)
        DVEC_TRY(pass(context));
    for (; !rows_.empty(); rows_.take()) {
        head_ = rows_.nearest(context);
        if (!(head_.distance() < limit_.distance()))
            return Head();
        // What the walk should have returned before comes at the end, as whatever was missed.
        if (head_ > after_)
            return Head(head_);
    }
    return Head();
}

void SketchedScan::take() {
    last_ = head_;
    taken_.push_back(head_.id());
    rows_.take();
}

Head SketchedScan::least() {
    if (!passed_ || rows_.empty())
        return Head();
    return std::min(rows_.least(), limit_);
}

Status SketchedScan::pass(SearchContext &context) {
    const SearchStatistics before = context.statistics;
    measured_.clear();
    nearest_.clear();
    Status status = look_at_sketches(context);
    if (status.ok())
        status = measure_unknown(context);
    if (status.ok())
        measure_candidates(context);
    context.statistics.scanned += context.statistics.distances - before.distances;
    if (!status.ok()) {
        // The pass will be made anew, and its refusals are to be counted once.
        context.statistics.refused = before.refused;
        return status;
    }
    passed_ = true;
    // The farthest of those wanted. What was not measured is probably not nearer.
    limit_ = nearest_.size() < wanted_ ? Ranked::last() : context.bound(nearest_.front());
    // Where the sketches shut out too little for all that was let through to be kept, they tell
    // nothing of the rows up to the limit.
    const bool tell_enough = limit_of_kept_ > limit_by_measured();
    context.sketches->note(tell_enough);
    rows_.reset(kept_entries);
    if (tell_enough)
        for (const Ranked row : measured_)
            rows_.add(row);
    return {};
}

Status SketchedScan::look_at_sketches(SearchContext &context) {
    const Sketches &sketches = *context.sketches;
    query_.reset(sketches, reinterpret_cast<const float *>(context.query));
    candidates_.clear();
    unknown_.clear();
    limit_of_kept_ = Beam::none;
    most_kept_ =
        std::max(least_kept, static_cast<std::size_t>(context.plan.admitted() * share_kept));
    return pass_over_admitted(context, Measured::sketch, [&](const NodeId *ids, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            const float bound = query_.likely_bound(sketches, ids[i]);
            if (bound == bound)
                keep(make_candidate(bound, ids[i]));
            else
                unknown_.push_back(ids[i]);
        }
    });
}

// Twice as many are gathered as are kept, so that the cost of cutting back is spread over as many
// additions.
void SketchedScan::keep(Candidate candidate) {
    if (candidate >= limit_of_kept_)
        return;
    candidates_.push_back(candidate);
    if (candidates_.size() == 2 * most_kept_)
        cut_back();
}

void SketchedScan::cut_back() {
    const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(most_kept_);
    std::nth_element(candidates_.begin(), end, candidates_.end());
    limit_of_kept_ = *end;
    candidates_.erase(end, candidates_.end());
}

// Measures the rows without a sketch, and makes sketches of some where that is worth it.
Status SketchedScan::measure_unknown(SearchContext &context) {
    std::size_t to_make = context.plan.sketches_to_make();
    for (std::size_t i = 0, ahead = 0; i < unknown_.size(); ++i) {
        if (context.stop_requested())
            return Status(Code::interrupted, "search was interrupted");
        for (; ahead < std::min(unknown_.size(), i + rows_ahead); ++ahead)
            context.prefetch(unknown_[ahead]);
        measure(context, unknown_[i]);
        if (to_make > 0) {
            --to_make;
            context.sketches->make(*context.nodes, unknown_[i]);
        }
    }
    return {};
}

// Measures candidates from the nearest on until no other one is likely to be among those wanted. In
// portions, since the limit falls with each.
void SketchedScan::measure_candidates(SearchContext &context) {
    auto begin = candidates_.begin();
    for (std::size_t portion = 2 * wanted_; begin != candidates_.end(); portion *= 2) {
        const auto end = begin + static_cast<std::ptrdiff_t>(std::min(
                                     portion, static_cast<std::size_t>(candidates_.end() - begin)));
        if (end != candidates_.end())
            std::nth_element(begin, end, candidates_.end());
        const Candidate limit = limit_by_measured();
        const auto worth =
            std::partition(begin, end, [limit](Candidate candidate) { return candidate < limit; });
        for (auto at = begin, ahead = begin; at != worth; ++at) {
            for (; ahead != worth && ahead - at < rows_ahead; ++ahead)
                context.prefetch(candidate_id(*ahead));
            measure(context, candidate_id(*at));
        }
        if (worth != end)
            break;
        begin = end;
    }
}

// Above what is not to be measured any more.
Candidate SketchedScan::limit_by_measured() {
    return nearest_.size() < wanted_ ? Beam::none : nearest_.front();
}

void SketchedScan::measure(SearchContext &context, NodeId id) {
    if (std::binary_search(except_->begin(), except_->end(), id))
        return;
    const Candidate candidate = context.estimate(id);
    const Ranked bound = context.bound(candidate);
    if (nearest_.size() == wanted_ &&
        bound.distance() > static_cast<double>(candidate_distance(nearest_.front())))
        return;
    measured_.push_back(bound);
    nearest_.push_back(candidate);
    std::push_heap(nearest_.begin(), nearest_.end());
    if (nearest_.size() > wanted_) {
        std::pop_heap(nearest_.begin(), nearest_.end());
        nearest_.pop_back();
    }
}

void SketchedScan::release_memory() {
    rows_.reset(kept_entries);
    candidates_.clear();
    unknown_.clear();
    nearest_.clear();
    measured_.clear();
    taken_.clear();
    if (unknown_.capacity() > kept_entries)
        unknown_.shrink_to_fit();
    if (candidates_.capacity() > kept_entries)
        candidates_.shrink_to_fit();
}

}  // namespace dvec::graph
