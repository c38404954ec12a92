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

// Returns a list of ReorderedPath, for those indexes of the relation that suit a query which orders
// by an expression that rises or falls with a distance, or by a distance and further keys.
List *reordered_paths(PlannerInfo *root, RelOptInfo *rel);

// The pathkey of an index path that serves no key of the query, or a key of another type than the
// distance. Only create_plan ever looks at it.
PathKey *key_of_distance(EquivalenceClass *order);

// Whether this index may be scanned for the query.
bool is_searchable(const IndexOptInfo *index);

}  // namespace dvec::postgres
