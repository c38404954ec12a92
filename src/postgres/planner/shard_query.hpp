// What a shard is asked for. postgres_fdw has made a query for a scan of a foreign table, in an
// order that the shard sorts by; it sends no LIMIT, since it knows nothing of the query around the
// scan, and fetches whole columns, since it computes nothing of a table alone.
#pragma once

#include "postgres/bridge/foreign.hpp"
#include "postgres/bridge/planner.hpp"

namespace dvec::postgres {

// Whether a relation is a foreign table that postgres_fdw reads.
bool is_read_by_postgres_fdw(const RelOptInfo *rel);

// How many rows of a shard the query returns at most: an int8 that does not overflow.
Expr *most_rows(PlannerInfo *root, Node *limit_count, Node *limit_offset);

// Adds the LIMIT to the scan's query and, where the query around it reads nothing of a vector but
// the distance that it is ordered by, has the shard send the distance instead of the vector. The
// scan orders by those of its columns whose numbers, from 1, are in `key_columns`. Does nothing
// where the scan's rows have still to pass a condition here.
void ask_for_nearest(PlannerInfo *root, ForeignScan *scan, const List *key_columns, Expr *rows);

}  // namespace dvec::postgres
