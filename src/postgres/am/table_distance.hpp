// Distances of rows whose vectors an index holds compact (distance/compact.hpp): read in the table.
#pragma once

#include "engine/distance/compact_spread.hpp"
#include "engine/store/description.hpp"
#include "postgres/am/row_distance.hpp"
#include "postgres/am/scan_terms.hpp"
#include "postgres/am/table_reading.hpp"

namespace dvec::postgres {

// The bounds of this are no certainties: they allow for three times the spread of what rounding
// adds to a distance (distance/compact_spread.hpp). A row in a thousand is nearer, and comes late
// if that matters. Those of L1 are certain; with few bits they say next to nothing, and then the
// nearest of as many rows as the search keeps candidates are returned.
class TableDistance final : public RowDistance {
  public:
    // In the current memory context, for a scan that has its order key. `query` is compact. It and
    // the search, whose hits will be measured, must stay valid as long as the result. The index
    // has so many entries; where the search keeps candidates for all, all are measured.
    static TableDistance *of(IndexScanDesc scan, const store::Shape &shape, const void *query,
                             const graph::Search &search, const ScanTerms &terms, uint64 entries);

    // Rows that the scan's snapshot does not see are not to be returned.
    bool measure(const graph::Hit &hit, const void *stored, double *distance) override;
    double least(double distance, const void *stored) override;
    double least(double distance) const override;

    uint64 exactly_measured() const override { return table_.rows_read(); }
    uint64 enough_measured() const override { return enough_; }
    bool is_out_of_order() const override;
    bool probably_misses(double distance, uint64 rows) const override;

  private:
    // How the search's distances go together with the table's. Of the nearest row nothing is taken:
    // often it is the query's own, and far nearer than all others, which any order would tell.
    class Correlation {
      public:
        void add(double told, double exact);
        double count() const { return count_; }
        // How many of the rows behind those that were told of are expected to be nearer than this.
        double expected_nearer(double distance) const;
        // From -1 to 1, and 1 where all rows are equally far.
        double value() const;

      private:
        void take(double told, double exact);

        bool any_ = false;
        double told_of_nearest_ = 0, nearest_ = 0;
        double told_last_ = 0;
        double count_ = 0;                                         // of the others
        double told_ = 0, exact_ = 0;                              // their means
        double told_told_ = 0, exact_exact_ = 0, told_exact_ = 0;  // products beside the means
    };

    explicit TableDistance(const TableReading &table) : table_(table) {}

    TableReading table_;
    distance::Metric metric_;
    distance::CompactSpread from_query_;
    double spread_ = 0;  // or the most, by L1; the greatest met
    uint64 enough_ = PG_UINT64_MAX;
    bool tells_bounds_ = true;
    double most_out_of_order_ = 0;  // rows; then what there is has to do
    Correlation order_;
};

}  // namespace dvec::postgres
