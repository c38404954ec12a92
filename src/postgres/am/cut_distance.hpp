// Distances of the rows of an index on sparse vectors that has room for some of their elements
// (distance/sparse.hpp): those of rows that were cut are read in the table.
#pragma once

#include "engine/store/description.hpp"
#include "postgres/am/row_distance.hpp"
#include "postgres/am/table_reading.hpp"

namespace dvec::postgres {

// The bounds of this hold for rows that were passed. A row that comes later, and from which more
// was left out than from any of those, may be nearer than its bound; it comes late if that matters.
class CutDistance final : public RowDistance {
  public:
    // In the current memory context, for a scan that has its order key. `query` is as kernels
    // measure it. It and the search, whose hits will be measured, must stay valid as long as the
    // result.
    static CutDistance *of(IndexScanDesc scan, const store::Shape &shape, const void *query,
                           const graph::Search &search);

    // Of the rows that are read in the table, those that the scan's snapshot does not see are not
    // to be returned.
    bool measure(const graph::Hit &hit, const void *stored, double *distance) override;
    double least(double distance, const void *stored) override;
    double least(double distance) const override;

    uint64 exactly_measured() const override { return table_.rows_read(); }

  private:
    explicit CutDistance(const TableReading &table) : table_(table) {}
    bool is_cut(const void *stored) const;

    TableReading table_;
    const distance::Kernel *kernel_;
    const void *query_;
    std::size_t dimensions_;
    bool foreign_;           // the scan's operator is not ours
    double overlooked_ = 0;  // the most of any row met
    double lengths_ = 0;     // for inner products, the greatest product of both lengths
};

}  // namespace dvec::postgres
