#include "postgres/am/operator_order.hpp"

#include <algorithm>

#include "postgres/bridge/errors.hpp"

namespace dvec::postgres {

namespace {

bool is_farther(const graph::Hit &a, const graph::Hit &b) {
    return graph::comes_before(b.distance, b.id, a.distance, a.id);
}

}  // namespace

// The checks that need no distances come first.
bool OperatorOrder::may_return_nearest(graph::Search &search,
                                       const RowDistance &row_distance) const {
    const double nearest = waiting_.front().distance;
    return ended_ || !graph::comes_before(least_, nearest) ||
           !graph::comes_before(row_distance.least(search.least_next()), nearest) ||
           ((row_distance.exactly_measured() >= row_distance.enough_measured() ||
             !value_or_raise([&] { return search.next_is_at_hand(); })) &&
            !waits_for_round(row_distance));
}

bool OperatorOrder::waits_for_round(const RowDistance &row_distance) const {
    const uint64 measured = row_distance.exactly_measured();
    return measured > 0 &&
           (2 * count_returned_ >= measured || row_distance.is_out_of_order() ||
            row_distance.probably_misses(waiting_.front().distance, count_returned_ + 1));
}

bool OperatorOrder::is_at_hand(graph::Search &search, const RowDistance &row_distance) const {
    return value_or_raise([&] { return search.next_is_at_hand(); }) ||
           (!waiting_.empty() && may_return_nearest(search, row_distance));
}

void OperatorOrder::limit_distances(graph::Search &search, uint64 most, double per_row_read) {
    most_distances_ = static_cast<double>(most);
    per_row_read_ = per_row_read;
    if (per_row_read > 0)
        rows_left_to_read_ =
            (most_distances_ - static_cast<double>(search.statistics().distances)) / per_row_read;
    search.limit_distances(most);
}

bool OperatorOrder::measure(graph::Search &search, graph::Hit *hit, const void *row,
                            RowDistance &row_distance) {
    const uint64 before = row_distance.exactly_measured();
    const bool counts = row_distance.measure(*hit, row, &hit->distance);
    if (row_distance.exactly_measured() == before || !(per_row_read_ > 0))
        return counts;
    --rows_left_to_read_;
    most_distances_ = std::max(0.0, most_distances_ - per_row_read_);
    search.limit_distances(static_cast<uint64>(most_distances_));
    return counts;
}

graph::Hit OperatorOrder::take_nearest() {
    std::pop_heap(waiting_.begin(), waiting_.end(), is_farther);
    const graph::Hit nearest = waiting_.back();
    waiting_.pop_back();
    return nearest;
}

std::optional<graph::Hit> OperatorOrder::next_late() {
    if (!late_is_sorted_)
        std::sort(late_.begin(), late_.end(), is_farther);
    late_is_sorted_ = true;
    if (late_.empty())
        return std::nullopt;
    const graph::Hit nearest = late_.back();
    late_.pop_back();
    return nearest;
}

std::optional<graph::Hit> OperatorOrder::next(graph::Search &search, const graph::NodeStore &nodes,
                                              RowDistance &row_distance) {
    for (;;) {
        if (!waiting_.empty() && may_return_nearest(search, row_distance)) {
            const graph::Hit nearest = take_nearest();
            if (count_returned_ > 0 && graph::comes_before(nearest.distance, returned_)) {
                late_.push_back(nearest);
                continue;
            }
            ++count_returned_;
            returned_ = nearest.distance;
            return nearest;
        }
        if (ended_)
            return next_late();
        if (rows_left_to_read_ <= 0) {
            is_spent_ = true;
            return std::nullopt;
        }
        std::optional<graph::Hit> hit = value_or_raise([&] { return search.next(); });
        if (!hit) {
            ended_ = true;
            // The caller goes on where the walk has ended. What has no order is left to it.
            if (search.statistics().left_out && row_distance.is_out_of_order())
                waiting_.clear();
            continue;
        }
        const void *row = nodes.vector(hit->id);
        least_ = row_distance.least(hit->distance, row);
        if (!measure(search, &*hit, row, row_distance))
            continue;
        waiting_.push_back(*hit);
        std::push_heap(waiting_.begin(), waiting_.end(), is_farther);
    }
}

}  // namespace dvec::postgres
