// The callbacks of the access method, by the files they are in. Their contracts are the server's
// (documentation chapter "Index Access Method Interface Definition"). Those that parse options and
// check operator classes are in relation/, the one that estimates costs is in planner/cost.cpp and
// declared in relation/own_method.hpp.
#pragma once

#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

// build.cpp
IndexBuildResult *build_index(Relation heap, Relation index, struct IndexInfo *index_info);
void build_empty_index(Relation index);
char *build_phase_name(int64 phase);

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

}  // namespace dvec::postgres
