// One row of a table by the distance that a scan orders by, read under the scan's snapshot.
//
// A row is reached as the executor will reach it: by the first line pointer of its chain of
// versions (HOT), which is the TID that indexes have, and the snapshot chooses the version. At most
// one version of a chain is visible to a snapshot.
//
// Everything here may raise an ERROR, so callers hold only trivially destructible objects
// (guard.hpp).
#pragma once

#include "engine/graph/format.hpp"
#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/executor.hpp"
#include "postgres/types/index_support.hpp"

namespace dvec::postgres {

class HeapRowReader {
  public:
    // For a scan that has its order key, in the current memory context, which must last as long as
    // the reader. Nothing is pinned between calls, so a reader need not be closed.
    static HeapRowReader *open(IndexScanDesc scan);

    // Whether a version of the row is visible, and has a place in the index; then its distance.
    bool measure(graph::Tid tid, double *distance);
    // The same for rows of pages that come one after the other: the row's page stays pinned until
    // the next call of any kind.
    bool measure_in_order(ItemPointerData tid, double *distance);
    void unpin();

    // Under which number the row's vector is stored out of line, in the TOAST table of the heap;
    // InvalidOid where it is not, or the snapshot sees no such row.
    Oid value_out_of_line(graph::Tid tid);

    Relation heap() const { return heap_; }
    Relation index() const { return index_; }
    // Whether to measure a row may run functions of users: to be called with the owner's rights.
    bool has_expressions() const {
        return index_info_->ii_Expressions != NIL || index_info_->ii_Predicate != NIL;
    }

  private:
    HeapRowReader() = default;
    bool measure_visible(ItemPointerData tid, double *distance);
    bool measure_row(double *distance);

    Relation heap_;
    Relation index_;
    Snapshot snapshot_;
    ScanKey key_;
    Datum query_;  // of the key, unless it is NULL
    const IndexSupport *support_;
    IndexFetchTableData *fetch_;
    TupleTableSlot *slot_;
    IndexInfo *index_info_;
    ExprState *predicate_;
    EState *executor_;
    MemoryContext row_context_;
};

}  // namespace dvec::postgres
