// What the conditions of a query say about the distance of the rows it can return. A scan in order
// of distance may end behind the farthest of them. The conditions stay in the plan as the scan's
// filter and decide about each row. Bounds only tell where the scan can stop.
//
// Which distances pass is computed when a scan starts, from the values that the other sides of the
// conditions have then. So a bound may be a parameter, a sub-select, or a column of another table
// of a join.
#pragma once

#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/planner.hpp"
#include "postgres/planner/monotone.hpp"

namespace dvec::postgres {

// Parts of a plan, copied with it.
struct Bounds {
    List *operands;    // expressions, to be evaluated when a scan starts
    List *code;        // integers: the conditions, read together with the operands; NIL: no bound
    List *conditions;  // the restrictions that bound the distance
    bool farthest;     // whether distances may be bounded from above, not from below alone
};

// What restrictions (of RestrictInfo) say about `distance`, an index's distance as
// match_distance_expression() gives it. When it is null, the first that a condition bounds from
// above is taken and stored there. Conditions on the distance to another expression are kept when
// that may turn out to be the same vector, since the planner makes two parameters of a sub-select
// that is written twice in a query.
Bounds bounds_of(PlannerInfo *root, IndexOptInfo *index, List *restrictions, OpExpr **distance);

// Rows whose distance is outside this range cannot pass the conditions. With a bound, rows whose
// distance is NULL never pass. Rows whose distance is NaN may pass: 1 - d > 0.8 is true for them.
struct DistanceRange {
    Interval distances;
    enum class NaN : bool { excluded, admitted } nan;
};

// The same while a plan is executed. Made in the current memory context, from copies of the lists
// that went into the plan.
struct BoundsState;
BoundsState *init_bounds(List *code, List *operands, PlanState *parent);

// What distances are measured to.
struct QueryVector {
    Datum value;
    bool is_null;
};
// Evaluates the operands and returns the range that follows from their values. Errors raised by an
// operand are passed on.
DistanceRange distance_range(const BoundsState *state, ExprContext *context, QueryVector query);

}  // namespace dvec::postgres
