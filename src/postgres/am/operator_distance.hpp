// The distance that an operator of SQL gives to a row of an index: for operators that are not ours,
// as pgvector's beside its types, and whatever no kernel can measure. There is one distance, and it
// is the operator's; a slot of the index has all of the value that it is asked about.
//
// Everything here may raise an ERROR, so callers hold only trivially destructible objects
// (guard.hpp).
#pragma once

#include "postgres/bridge/access_method.hpp"
#include "postgres/types/index_support.hpp"

namespace dvec::postgres {

class OperatorDistance {
  public:
    // In the current memory context, where it may be used for as long as the key's argument, which
    // is not NULL, is there.
    static OperatorDistance *of(ScanKey key, const IndexSupport &support, int dimensions);

    // From the query to the row whose vector in the index this is. Not NULL.
    double to(const void *row);

    // What it is at least to any row that our kernels find at `distance` or behind it. `row` is one
    // of these, and stands for the others where lengths count.
    double least(double distance, const void *row);
    // The same, going by the rows that have been named before.
    double least(double distance) const;

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
