// The conditions of a query that a scan of an index can check by itself, on the columns behind the
// vector.
//
// The server finds most of them, for the one kind of path that it makes itself: rows in order of
// the distance. Before version 17 it finds no IN for that, and before 16 none on boolean columns;
// and paths for other orders and for thresholds are ours to make.
#pragma once

#include "postgres/bridge/planner.hpp"

namespace dvec::postgres {

// Of the conditions (RestrictInfos of the index's relation, and of joins that it is a parameter of)
// those that the index's columns match: IndexClauses, in the order of the columns, for
// create_index_path().
List *index_conditions(PlannerInfo *root, IndexOptInfo *index, List *conditions);

// Whether nothing is left for others to check when a path's index clauses are checked by the scan.
// A condition whose keys say little counts as left.
bool checks_all(const IndexPath *path, List *conditions);

// The estimated share of the table's rows that the scan takes into account.
Selectivity share_admitted(PlannerInfo *root, const IndexPath *path);

}  // namespace dvec::postgres
