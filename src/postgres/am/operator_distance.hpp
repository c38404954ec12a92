// Calls an SQL distance operator for rows of an index: for operators that are not ours, such as
// pgvector's beside its own types, and for queries that no kernel can measure. Rows are returned by
// the operator's distance and no other. The slot of a row contains the whole value, so the table is
// not read.
//
// Everything here may raise an ERROR, so callers hold only trivially destructible objects
// (guard.hpp).
#pragma once

#include "postgres/am/row_distance.hpp"
#include "postgres/bridge/access_method.hpp"
#include "postgres/types/index_support.hpp"

namespace dvec::postgres {

class OperatorDistance final : public RowDistance {
  public:
    // Allocated in the current memory context. The argument of `key` must not be NULL, and must
    // stay valid while the result is in use.
    static OperatorDistance *of(ScanKey key, const IndexSupport &support, int dimensions);

    // The distance from the query to the row whose encoded vector this is. `row` must not be null.
    double to(const void *row);

    // Every row is to be returned. Bounds of inner products depend on the greatest length of the
    // rows that were passed.
    bool measure(const graph::Hit &hit, const void *stored, double *distance) override;
    double least(double distance, const void *stored) override;
    double least(double distance) const override;

  private:
    OperatorDistance(ScanKey key, const IndexSupport &support, int dimensions);
    double length_of(const void *row) const;

    FmgrInfo *function_;
    Oid collation_;
    Datum query_;
    const IndexSupport &support_;
    int dimensions_;
    void *room_;               // for a row's value
    std::size_t terms_;        // of a sum, at most
    double query_length_ = 0;  // for inner products, and the greatest of the rows seen
    double row_length_ = 0;
};

// Whether the operator that a scan orders by is another than the one the index's kernels are made
// for.
bool is_foreign_operator(ScanKey key, const IndexSupport &support);

}  // namespace dvec::postgres
