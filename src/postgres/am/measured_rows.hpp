// Every row of an index by the distance that an SQL operator gives to it: for scans that must miss
// nothing by an operator that is not ours, and for queries that no row could equal (a sparse vector
// with more elements than a row may have), which no kernel knows. As the exact search does, it
// measures each row once, but reads no table.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "engine/graph/search.hpp"
#include "engine/store/index.hpp"
#include "postgres/am/operator_distance.hpp"

namespace dvec::postgres {

class MeasuredRows {
  public:
    // Of all entries there are now. Rows farther than `farthest` are not going to be asked for, but
    // one of them says that there are such; NaN: all are. Code::stale as of a search.
    static base::Result<std::unique_ptr<MeasuredRows>> of(store::Index &index, double farthest);

    // Measures a sample, for statistics().within. May raise, as may the next function.
    void sample(OperatorDistance &distance);

    // The next entry whose row is not gone by now. The first call measures all: 16 bytes for each
    // that is not too far.
    std::optional<graph::Hit> next(OperatorDistance &distance);

    // As of a search in exact order.
    graph::SearchStatistics statistics() const noexcept { return statistics_; }

  private:
    struct Measured {
        double distance;
        graph::NodeId node;
    };
    static bool is_farther(const Measured &a, const Measured &b) noexcept;

    MeasuredRows(const store::Index &index, graph::NodeId end, double farthest)
        : index_(index), end_(end), farthest_(farthest) {}
    void measure_all(OperatorDistance &distance);
    void add(Measured row);
    bool is_wanted(double distance) const noexcept;

    const store::Index &index_;
    const graph::NodeId end_;
    const double farthest_;
    bool all_measured_ = false;
    std::optional<graph::ReadingInOrder> reading_;  // while measure_all() does
    std::vector<Measured> rows_;                    // a heap, the nearest on top
    std::optional<Measured> nearest_unwanted_;
    graph::SearchStatistics statistics_;
};

}  // namespace dvec::postgres
