// All rows of an index in the order of an SQL operator's distances, each measured by the operator
// itself. Used for scans that must miss nothing and order by an operator that is not ours, and for
// queries that no kernel can measure (a sparse vector with more elements than an indexed row may
// have). As in the exact search each row is measured once, but the table is not read.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/graph/row_filter.hpp"
#include "engine/graph/search.hpp"
#include "engine/store/index.hpp"
#include "postgres/am/operator_distance.hpp"

namespace dvec::postgres {

class MeasuredRows {
  public:
    // For all entries that exist now and that `filter` admits (null: all), which must outlive this.
    // The caller is not interested in rows farther than `farthest` (NaN means no bound); only the
    // nearest of those is returned, to tell that they exist. Fails with Code::stale as a search
    // does.
    static base::Result<std::unique_ptr<MeasuredRows>> of(store::Index &index,
                                                          const graph::RowFilter *filter,
                                                          double farthest);

    // Measures a sample to estimate statistics().within. This and next() may raise errors.
    void sample(OperatorDistance &distance);

    // The next entry that has not been deleted meanwhile. The first call measures all entries, and
    // takes 16 bytes of memory for each that is not too far.
    std::optional<graph::Hit> next(OperatorDistance &distance);

    // The same as those of a graph::Search in exact order.
    graph::SearchStatistics statistics() const noexcept { return statistics_; }

  private:
    struct Measured {
        double distance;
        graph::NodeId node;
    };
    static bool is_farther(const Measured &a, const Measured &b) noexcept;

    MeasuredRows(const store::Index &index, const graph::RowFilter *filter, graph::NodeId end,
                 double farthest)
        : index_(index), filter_(filter), end_(end), farthest_(farthest) {}
    bool is_asked_for(graph::NodeId id) const noexcept;
    void measure_all(OperatorDistance &distance);
    void add(Measured row);
    bool is_wanted(double distance) const noexcept;

    const store::Index &index_;
    const graph::RowFilter *const filter_;
    const graph::NodeId end_;
    const double farthest_;
    bool all_measured_ = false;
    std::optional<graph::ReadingInOrder> reading_;  // while measure_all() does
    std::vector<Measured> rows_;                    // a heap, the nearest on top
    std::optional<Measured> nearest_unwanted_;
    graph::SearchStatistics statistics_;
};

}  // namespace dvec::postgres
