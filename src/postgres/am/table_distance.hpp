// Distances of rows whose vectors an index holds compact (distance/compact.hpp): read in the table.
#pragma once

#include "engine/store/description.hpp"
#include "postgres/am/row_distance.hpp"
#include "postgres/am/table_reading.hpp"

namespace dvec::postgres {

// The bounds of this are no certainties. What rounding adds to a distance is random: its direction
// has nothing to do with the query's, so among so many dimensions little of it shows. A bound
// allows for three times the spread of that. A row in a thousand is nearer, and comes late if that
// matters.
class TableDistance final : public RowDistance {
  public:
    // In the current memory context, for a scan that has its order key. `query` is compact. It and
    // the search, whose hits will be measured, must stay valid as long as the result.
    static TableDistance *of(IndexScanDesc scan, const store::Shape &shape, const void *query,
                             const graph::Search &search);

    // Rows that the scan's snapshot does not see are not to be returned.
    bool measure(const graph::Hit &hit, const void *stored, double *distance) override;
    double least(double distance, const void *stored) override;
    double least(double distance) const override;

    uint64 exactly_measured() const override { return table_.rows_read(); }

  private:
    explicit TableDistance(const TableReading &table) : table_(table) {}
    double spread_of(double distance, const void *stored) const;

    TableReading table_;
    distance::Metric metric_;
    double width_;  // elements of a compact vector
    double query_length_;
    double query_error_;
    double spread_ = 0;  // of products, cosines or sums; the greatest met
};

}  // namespace dvec::postgres
