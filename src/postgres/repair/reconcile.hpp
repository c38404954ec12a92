// Makes an index agree with its table by reading the table's pages, all of them or those that may
// tell something new.
#pragma once

#include "postgres/bridge/access_method.hpp"
#include "postgres/runtime/repair_state.hpp"

namespace dvec::postgres {

// Reconciles an index whose shared state is set up and which nobody else uses: the caller has
// claimed it for the repair that entry->repair.kind names. When this returns, every row of a
// transaction that had ended when it began is in the index, once and durably, and rows of later
// ones may be. Raises an error on failure. What was done until then is kept, and the repair has to
// be started again.
RepairResult reconcile_with_heap(Relation heap, Relation index, struct IndexInfo *index_info,
                                 IndexEntry *entry);

}  // namespace dvec::postgres
