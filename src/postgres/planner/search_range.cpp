#include "postgres/planner/search_range.hpp"

#include <limits>

#include "postgres/relation/metapage.hpp"
#include "postgres/relation/usual_rows.hpp"

namespace dvec::postgres {

struct SearchRangeState {
    UnusualRows unusual;
    BoundsState *bounds;  // null: no bound
    ExprState *query;
    Relation index;
    RowJudge judge;
};

SearchRangeState *init_search_range(const CustomScan *scan, PlanState *parent, Relation index) {
    auto *state = static_cast<SearchRangeState *>(palloc0(sizeof(SearchRangeState)));
    state->unusual = from_private(list_nth_node(List, scan->custom_private, numbers_part)).unusual;
    auto *code = static_cast<List *>(list_nth(scan->custom_private, bounds_part));
    auto *operands = static_cast<List *>(list_nth(scan->custom_exprs, bounds_operands));
    if (code != NIL)
        state->bounds = init_bounds(code, operands, parent);
    auto *query = static_cast<List *>(list_nth(scan->custom_exprs, query_expression));
    state->query = ExecInitExpr(static_cast<Expr *>(linitial(query)), parent);
    state->index = index;
    if (index != nullptr)
        state->judge = row_judge(index);
    return state;
}

namespace {

// Whether no row of the table can have a distance that is NULL or NaN.
bool all_is_usual(SearchRangeState *state, QueryVector query) {
    return has_only_usual_rows(state->index) && is_usual(&state->judge, query.value, query.is_null);
}

QueryVector query_vector(const SearchRangeState *state, ExprContext *context) {
    QueryVector query{};
    query.value = ExecEvalExprSwitchContext(state->query, context, &query.is_null);
    return query;
}

constexpr double no_limit = std::numeric_limits<double>::quiet_NaN();

}  // namespace

bool index_has_all_rows(const SearchRangeState *state) { return has_only_usual_rows(state->index); }

bool query_is_null(const SearchRangeState *state, ExprContext *context) {
    return query_vector(state, context).is_null;
}

SearchRange search_range(SearchRangeState *state, ExprContext *context) {
    using Rows = SearchRange::Rows;
    const QueryVector query = query_vector(state, context);
    const bool anywhere = state->unusual == UnusualRows::anywhere;
    if (state->bounds == nullptr) {
        const bool unsure = anywhere && !all_is_usual(state, query);
        return {all_distances.low, no_limit, unsure ? Rows::not_of_index : Rows::any};
    }
    const DistanceRange range = distance_range(state->bounds, context, query);
    const Interval &distances = range.distances;
    // Rows with a NaN distance matter only when the conditions admit NaN.
    const bool unusual = range.nan == DistanceRange::NaN::admitted && !all_is_usual(state, query);
    if (unusual)
        return {all_distances.low, no_limit, anywhere ? Rows::not_of_index : Rows::any};
    if (distances.low > distances.high)
        return {all_distances.low, no_limit, Rows::none};
    return {distances.low, distances.high, Rows::of_index};
}

}  // namespace dvec::postgres
