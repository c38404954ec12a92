// How the parts of the access method get hold of the index they are called for.
#pragma once

#include "postgres/bridge/access_method.hpp"
#include "postgres/runtime/open_index.hpp"

namespace dvec::postgres {

// The engine's handle on an index; waits until it is recovered and repaired where that is needed.
// Raises on failure. Valid until the next call, and longer while pinned.
OpenIndex *open_relation(Relation index);

// The same for a process that is about to add rows to the index or to remove dead ones. Returns
// null, with a WARNING from time to time, when that is not necessary: the index needs a repair that
// fails in its own expressions, and once these are fixed it is rebuilt from the table.
OpenIndex *open_for_writing(Relation index);

// Whether a query should use the index (is_worth_planning). If nobody has opened it yet, recovers
// it from its log first, but neither waits for other processes nor repairs it. Raises an error when
// recovery fails.
bool can_be_searched(Relation index);

}  // namespace dvec::postgres
