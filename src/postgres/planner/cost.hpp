// What the planner is told about scans by this access method, beyond the method's own estimate.
#pragma once

#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

// The cost of measuring every row of an index that satisfies the path's index conditions and
// putting them in order, before the first comes.
Cost exact_order_cost(PlannerInfo *root, const IndexPath *path);

// Of the time that the exact search takes, the share that the planner charges for: where vectors
// are stored out of line it does not see the reading.
double share_seen(PlannerInfo *root, const IndexPath *path);

// What a search as found with the path's index conditions is expected to take, in nanoseconds: the
// first few rows, as hnsw.ef_search says; and all rows that satisfy the conditions, in order.
struct SearchTimes {
    double first;
    double all;
};
SearchTimes search_times(PlannerInfo *root, const IndexPath *path);

// Sizes of what is measured, in bytes.
struct MeasuredBytes {
    double vector;     // of a row; where rows differ, the most one may have
    double walked;     // what a walk over the graph measures for it
    bool out_of_line;  // the table's own pages do not hold it
    bool compact;      // nor does the index: what it hands out is measured in the table
};
// Of an index that estimate_cost() was asked of before, which opens it.
MeasuredBytes measured_bytes(const IndexOptInfo *info);

}  // namespace dvec::postgres
