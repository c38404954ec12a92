// Recognises expressions that queries compute from a distance. Whether a query orders or compares
// by `v <=> $1`, `cosine_distance($1, v)`, `1 - (v <=> $1)` or `round((100 * (1 - (v <=>
// $1)))::numeric, 2)`, an index on v knows the distance in it, and whether the expression rises or
// falls with it.
#pragma once

#include "postgres/bridge/planner.hpp"
#include "postgres/planner/monotone.hpp"

namespace dvec::postgres {

// An expression of the distance between the column of an index and something else. Lists of an
// expression that is the distance itself are empty.
struct DistanceExpression {
    OpExpr *distance;    // as the operator class has it: the index's column on the left
    Interval distances;  // that the operator can give, NaN aside
    bool may_be_nan;     // for vectors of ordinary numbers
    List *steps;         // integers, each a StepKind, from the distance outward
    List *operands;      // of the steps that have one, of any numeric type
};

// Whether `expr` is one, for the only column of `index`. Its operands and the right side of its
// distance do not change during a scan: they hold no column of the index's table and nothing
// volatile. They may hold columns of other tables.
bool match_distance_expression(PlannerInfo *root, IndexOptInfo *index, Expr *expr,
                               DistanceExpression *result);

// The expression's chain with the operands that are constants filled in.
Chain chain_with_constants(const DistanceExpression &expression);

// A value of one of the types that DistanceExpression::operands may have, as double.
double double_of(Oid type, Datum value);
bool is_numeric_type(Oid type);

// Whether a distance is somewhere in an expression, also of a table that has no index here; a
// walker (compat::walk_expression), which needs no context.
bool contains_distance(Node *node, void *context);

// Whether an expression stays the same while the table of `index` is scanned.
bool is_fixed_for_scan(PlannerInfo *root, const IndexOptInfo *index, Expr *expr);

}  // namespace dvec::postgres
