// VectorSearch, the plan node for queries that need more than an index scan can promise: rows with
// conditions under a LIMIT, rows in an order that others rely on.
//
// It has two children that return the same rows in the same order: a scan of an index of ours, and
// the exact search, which reads the table and sorts. It begins with the first and changes over to
// the second when the first has cost about a third of what the second will (search_budget.hpp), or
// cannot promise what is asked for.
#pragma once

#include "postgres/planner/bounds.hpp"
#include "postgres/planner/query_level.hpp"

namespace dvec::postgres {

enum class SearchOrder : unsigned char {
    as_found,  // what the walk over the graph misses may be missed
    exact      // the rows and the order of the exact search
};

// Whether hnsw.iterative_scan and its like may end the search before its last row.
enum class SearchExtent : unsigned char { as_set, everything };

// Whether so many of a table's rows are wanted that walking to them measures about as many as
// measuring all does. A few are never many.
inline bool is_large_limit(double limit, double rows) { return limit > 40 && limit * 8 > rows; }

// Rows that an index leaves out, or has at its end, for want of a distance
// (relation/usual_rows.hpp).
enum class UnusualRows : unsigned char {
    last,     // as in an ascending order, where they come after all others
    anywhere  // where there are any, the exact search has to say where
};

struct VectorSearchRequest {
    // Ordered by `distance`. Copied; must not stay in the list of the relation's paths.
    IndexPath *index_path;
    // Of the node; NIL where the rows are wanted and no order is.
    List *pathkeys;
    // What the index orders by: float8, over the relation's columns.
    Expr *distance;
    SearchOrder order;
    QueryLevel level;
    // What the relation's conditions say about the distance.
    Bounds bounds;
    UnusualRows unusual;
};

// A path for add_path(), or null where there is nothing to make it of.
CustomPath *make_vector_search_path(PlannerInfo *root, RelOptInfo *rel,
                                    const VectorSearchRequest &request);

// Whether a finished plan's node is a VectorSearch.
bool is_vector_search(const Plan *plan);

}  // namespace dvec::postgres
