// A subquery that is put into a hash table, as that of … WHERE kind NOT IN (SELECT …), in the
// conditions of two plan nodes.
#pragma once

#include "postgres/bridge/executor.hpp"

namespace dvec::postgres {

// Lets the conditions of `to`, and of the nodes below it, use the hash tables that those of `from`
// have made of the same subqueries, so that these are not executed again. Both belong to one
// execution of a plan, and have the same conditions.
void share_hashed_subplans(PlanState *from, PlanState *to);

}  // namespace dvec::postgres
