// How the parts of the access method get hold of the index they are called for.
#pragma once

#include "postgres/bridge/access_method.hpp"
#include "postgres/runtime/open_index.hpp"

namespace dvec::postgres {

// The engine's handle on an index; waits until it is recovered and repaired where that is needed.
// Raises on failure. Valid until the next call, and longer while pinned.
OpenIndex *open_relation(Relation index);

// The same for a process that is about to tell the index of rows that are in the table, or of dead
// ones. Null, with a WARNING now and then, where that is for nothing: the index needs a repair,
// which fails in the index's own expressions, and once that is mended it is rebuilt from the table.
OpenIndex *open_for_writing(Relation index);

// Whether a query should use the index (is_worth_planning). Recovers it from its log first when
// nobody has, but waits for nobody and repairs nothing. Raises when recovering fails.
bool can_be_searched(Relation index);

}  // namespace dvec::postgres
