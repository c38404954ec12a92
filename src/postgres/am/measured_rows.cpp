// Equal distances are returned in the order of the entries, as a search returns them.
#include "postgres/am/measured_rows.hpp"

#include <algorithm>

namespace dvec::postgres {

namespace {

constexpr graph::NodeId nodes_between_polls = 1024;

}  // namespace

base::Result<std::unique_ptr<MeasuredRows>> MeasuredRows::of(store::Index &index,
                                                             const IndexSupport &support,
                                                             const void *query,
                                                             bool (*interrupted)()) {
    return base::guarded([&]() -> base::Result<std::unique_ptr<MeasuredRows>> {
        auto end = index.refresh();
        if (!end.ok())
            return std::move(end).status();
        std::unique_ptr<MeasuredRows> measured(new MeasuredRows(index));
        const graph::NodeStore &nodes = index.nodes();
        const graph::ReadingInOrder reading(nodes);
        const auto dimensions = static_cast<int>(index.description().dimensions);
        for (graph::NodeId id = 0; id < end.value(); ++id) {
            if (id % nodes_between_polls == 0 && interrupted())
                return base::Status(base::Code::interrupted, std::string());
            if (graph::is_live(nodes.state(id)))
                measured->rows_.push_back(
                    {support.measure(nodes.vector(id), query, dimensions), id});
        }
        std::sort(measured->rows_.begin(), measured->rows_.end(), before);
        return measured;
    });
}

bool MeasuredRows::before(const Measured &a, const Measured &b) noexcept {
    if (graph::comes_before(a.distance, b.distance))
        return true;
    return !graph::comes_before(b.distance, a.distance) && a.node < b.node;
}

graph::SearchStatistics MeasuredRows::statistics() const noexcept {
    graph::SearchStatistics statistics;
    statistics.distances = statistics.scanned = rows_.size();
    statistics.exact = true;
    return statistics;
}

std::optional<graph::Hit> MeasuredRows::next() {
    while (next_ < rows_.size()) {
        const Measured &row = rows_[next_++];
        const std::uint64_t state = index_.nodes().state(row.node);
        if (graph::is_live(state))
            return graph::Hit{row.node, graph::state_tid(state), row.distance};
    }
    return std::nullopt;
}

}  // namespace dvec::postgres
