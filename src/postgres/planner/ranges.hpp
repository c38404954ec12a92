// Scans for queries that want every row within a distance, in any order: WHERE v <-> $1 < 0.3,
// count(*) of that, and joins of rows that are near each other.
#pragma once

#include "postgres/planner/vector_search_path.hpp"

namespace dvec::postgres {

// All rows of the index are measured, so that none within the bound is missed: a list of
// CustomPath, those of joins with the other tables' rows as parameters.
List *range_paths(PlannerInfo *root, RelOptInfo *rel);

}  // namespace dvec::postgres
