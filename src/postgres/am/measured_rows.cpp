// Equal distances are returned in the order of the entries, as a search returns them.
#include "postgres/am/measured_rows.hpp"

#include <algorithm>

namespace dvec::postgres {

namespace {

constexpr graph::NodeId nodes_between_polls = 1024;

// The distance between the ids of two nodes of a sample, at least, and the most nodes in one, so
// that a sample takes little time.
constexpr graph::NodeId least_distance = 61;
constexpr graph::NodeId largest_sample = 512;

}  // namespace

base::Result<std::unique_ptr<MeasuredRows>> MeasuredRows::of(store::Index &index,
                                                             const graph::RowFilter *filter,
                                                             double farthest) {
    return base::guarded([&]() -> base::Result<std::unique_ptr<MeasuredRows>> {
        auto end = index.refresh();
        DVEC_TRY(end);
        return std::unique_ptr<MeasuredRows>(
            new MeasuredRows(index, filter, end.value(), farthest));
    });
}

bool MeasuredRows::is_asked_for(graph::NodeId id) const noexcept {
    const graph::NodeStore &nodes = index_.nodes();
    return graph::is_live(nodes.state(id)) && (filter_ == nullptr || filter_->admits(nodes, id));
}

// NaN is the greatest distance.
bool MeasuredRows::is_wanted(double distance) const noexcept {
    return std::isnan(farthest_) || distance <= farthest_;
}

bool MeasuredRows::is_farther(const Measured &a, const Measured &b) noexcept {
    return graph::comes_before(b.distance, b.node, a.distance, a.node);
}

void MeasuredRows::sample(OperatorDistance &distance) {
    const graph::NodeStore &nodes = index_.nodes();
    const graph::NodeId step = std::max(least_distance, end_ / largest_sample);
    std::uint64_t within = 0;
    std::uint64_t asked = 0;
    for (graph::NodeId id = 0; id < end_; id += step) {
        ++asked;
        if (is_asked_for(id) && is_wanted(distance.to(nodes.vector(id))))
            ++within;
    }
    statistics_.distances = asked;
    statistics_.within = asked == 0 ? 0 : within * end_ / asked;
}

void MeasuredRows::add(Measured row) {
    if (is_wanted(row.distance))
        rows_.push_back(row);
    else if (!nearest_unwanted_ || is_farther(*nearest_unwanted_, row))
        nearest_unwanted_ = row;
}

void MeasuredRows::measure_all(OperatorDistance &distance) {
    const graph::NodeStore &nodes = index_.nodes();
    reading_.emplace(nodes);
    std::uint64_t measured = 0;
    for (graph::NodeId id = 0; id < end_; ++id) {
        if (id % nodes_between_polls == 0)
            CHECK_FOR_INTERRUPTS();
        if (!is_asked_for(id))
            continue;
        add({distance.to(nodes.vector(id)), id});
        ++measured;
    }
    reading_.reset();
    statistics_.distances += measured;
    statistics_.scanned = measured;
    statistics_.exact = true;
    if (!std::isnan(farthest_))
        statistics_.within = rows_.size();
    if (nearest_unwanted_)
        rows_.push_back(*nearest_unwanted_);
    std::make_heap(rows_.begin(), rows_.end(), is_farther);
    all_measured_ = true;
}

std::optional<graph::Hit> MeasuredRows::next(OperatorDistance &distance) {
    if (!all_measured_)
        measure_all(distance);
    while (!rows_.empty()) {
        std::pop_heap(rows_.begin(), rows_.end(), is_farther);
        const Measured row = rows_.back();
        rows_.pop_back();
        const std::uint64_t state = index_.nodes().state(row.node);
        if (graph::is_live(state))
            return graph::Hit{row.node, graph::state_tid(state), row.distance};
    }
    return std::nullopt;
}

}  // namespace dvec::postgres
