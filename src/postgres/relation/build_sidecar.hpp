// Fills a sidecar from the heap: for CREATE INDEX and REINDEX, and again whenever the files of an
// existing index cannot be believed.
#pragma once

#include "postgres/bridge/access_method.hpp"
#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

// Which rows of the heap get an entry.
struct RowSource {
    // Null for CREATE INDEX: the rows somebody can still see. Else for a repair, which also takes
    // rows of transactions in progress (they will not add them again) and tells how far it is.
    RepairProgress *repair;
};

// Of CREATE INDEX, in pg_stat_progress_create_index, beside the server's own "initializing".
enum class BuildPhase : int64 { load = PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE + 1, link, store };

struct BuildResult {
    double heap_tuples;   // rows seen
    double index_tuples;  // rows that have an entry
    bool only_usual_rows;
};

// Makes the sidecar in `file`'s folder, replacing what is there, durable when this returns. Threads
// link while the calling process scans the heap. Raises on failure, having stopped the threads; the
// folder then holds nothing that would be believed.
BuildResult build_sidecar(Relation heap, Relation index, struct IndexInfo *index_info,
                          const store::Shape &shape, RowSource rows);

// The same without a row. What was there is gone.
void make_empty_sidecar(Relation index, const store::Shape &shape);

}  // namespace dvec::postgres
