// The functions behind the access method's entry points, one group for each phase of an index's
// life. Their contracts are the server's (documentation chapter "Index Access Method Interface
// Definition").
#pragma once

#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

// insert.cpp
bool insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
            IndexUniqueCheck check_unique, bool index_unchanged, struct IndexInfo *index_info);

// vacuum.cpp
IndexBulkDeleteResult *bulk_delete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
                                   IndexBulkDeleteCallback is_dead, void *callback_state);
IndexBulkDeleteResult *vacuum_cleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats);

// scan.cpp
IndexScanDesc begin_scan(Relation index, int key_count, int order_by_count);
void rescan(IndexScanDesc scan, ScanKey keys, int key_count, ScanKey order_bys, int order_by_count);
bool next_tuple(IndexScanDesc scan, ScanDirection direction);
void end_scan(IndexScanDesc scan);

// repair.cpp: tells the worker how to repair.
void repair_init();

// cost.cpp
void estimate_cost(struct PlannerInfo *root, struct IndexPath *path, double loop_count,
                   Cost *startup_cost, Cost *total_cost, Selectivity *selectivity,
                   double *correlation, double *pages);
// Whether an access method, known by its estimate function (as IndexOptInfo and IndexAmRoutine have
// it, of different types), is one of ours: hnsw or ivfflat.
template <class Estimate>
bool is_own_method(Estimate estimate) {
    return reinterpret_cast<amcostestimate_function>(estimate) == estimate_cost;
}
// Hides indexes that cannot be used now from the planner.
void planner_init();

}  // namespace dvec::postgres
