// How an index of ours is told from others: by its estimate function, the only callback that the
// planner's description of an index (IndexOptInfo) has as well as the relation's (IndexAmRoutine).
#pragma once

#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

// Of the access method; in planner/cost.cpp.
void estimate_cost(struct PlannerInfo *root, struct IndexPath *path, double loop_count,
                   Cost *startup_cost, Cost *total_cost, Selectivity *selectivity,
                   double *correlation, double *pages);

// Whether an access method, known by its estimate function (IndexOptInfo and IndexAmRoutine have it
// as different types), is one of ours: dvec, hnsw or ivfflat.
template <class Estimate>
bool is_own_method(Estimate estimate) {
    return reinterpret_cast<amcostestimate_function>(estimate) == estimate_cost;
}

}  // namespace dvec::postgres
