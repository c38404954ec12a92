// Between which distances the rows lie that a scan wants, and whether the index can give them all:
// computed anew whenever a scan begins.
#pragma once

#include "postgres/planner/bounds.hpp"
#include "postgres/planner/vector_search_plan.hpp"

namespace dvec::postgres {

struct SearchRange {
    // As ScanGuide has them.
    double nearest;
    double farthest;
    enum class Rows : unsigned char {
        none,         // no row passes the conditions
        of_index,     // rows without a place in the index pass none of them
        any,          // such rows come behind those of the index
        not_of_index  // there may be such rows, and the index cannot say where they belong
    } rows;
};

struct SearchRangeState;

// `index` is open for as long as the state is used; null for a plan that is only explained. In the
// current memory context, which lives as long as the query.
SearchRangeState *init_search_range(const CustomScan *scan, PlanState *parent, Relation index);

// Whether the index has every row of the table, as far as the query's conditions admit it: there
// are none that an index leaves out for want of a distance.
bool index_has_all_rows(const SearchRangeState *state);

// Whether the query's vector is NULL, for the present values of parameters.
bool query_is_null(const SearchRangeState *state, ExprContext *context);

// For the present values of parameters. Raises what evaluating them raises.
SearchRange search_range(SearchRangeState *state, ExprContext *context);

}  // namespace dvec::postgres
