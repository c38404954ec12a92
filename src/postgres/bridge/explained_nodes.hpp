// Lines of ours in the output of EXPLAIN, for plan nodes that are the server's.
#pragma once

#include "postgres/bridge/executor.hpp"

namespace dvec::postgres {

// Has `explain` called for every node that EXPLAIN shows, with the list of the plan nodes above it,
// the nearest first. On servers before version 18, which have no such hook, it is never called. One
// for the library, set when it is loaded.
void at_explained_node(void (*explain)(PlanState *node, const List *above, ExplainState *output));

}  // namespace dvec::postgres
