// Scans for queries that order by an expression of the distance, or compare with it.
#pragma once

#include "postgres/planner/vector_search_path.hpp"

namespace dvec::postgres {

// A scan of an index in an order that the server does not know the index has.
struct ReorderedPath {
    IndexPath *path;
    List *pathkeys;  // the order its rows are in: the first key of the query
    UnusualRows unusual;
    // Whether the path may stand in a plan alone, pathkeys and all. A plan's index scan must order
    // by a type that is compared with the distance's.
    bool stands_alone;
};

// For each of the relation's indexes that fits a query which orders by what rises or falls with a
// distance, or by a distance and more behind it: a list of ReorderedPath.
List *reordered_paths(PlannerInfo *root, RelOptInfo *rel);

// What an index path is ordered by that serves no key of the query, or one of another type than the
// distance has. Nothing but the making of the plan ever looks at it.
PathKey *key_of_distance(EquivalenceClass *order);

// Whether this index may be scanned for the query.
bool is_searchable(const IndexOptInfo *index);

}  // namespace dvec::postgres
