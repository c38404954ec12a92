#include "postgres/planner/vector_search_start.hpp"

#include <algorithm>
#include <new>

#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/planner.hpp"
#include "postgres/planner/hashed_subplans.hpp"
#include "postgres/planner/vector_search_rows.hpp"

namespace dvec::postgres {

namespace {

// More rows than this are not gathered.
constexpr int64 most_gathered = 10000;

// The value of LIMIT or OFFSET; not known where the clause is missing or NULL. Negative values are
// left for the Limit node to refuse.
struct Rows {
    bool known;
    int64 count;
};

Rows evaluate(ExprState *expression, ExprContext *context) {
    if (expression == nullptr)
        return {false, 0};
    bool is_null;
    const Datum value = ExecEvalExprSwitchContext(expression, context, &is_null);
    return is_null ? Rows{false, 0} : Rows{true, std::max<int64>(DatumGetInt64(value), 0)};
}

int64 evaluate_limit(VectorSearchState *state) {
    ExprContext *context = state->custom.ss.ps.ps_ExprContext;
    const Rows count = evaluate(state->limit_count, context);
    const Rows offset = evaluate(state->limit_offset, context);
    int64 sum;
    if (!count.known || pg_add_s64_overflow(count.count, offset.count, &sum))
        return -1;
    return sum;
}

double pages_of_table(const VectorSearchState *state) {
    return RelationGetNumberOfBlocks(state->custom.ss.ss_currentRelation);
}

double rows_of_table(const VectorSearchState *state) {
    return pages_of_table(state) * state->plan.rows_per_page;
}

ExactWork exact_work(const VectorSearchState *state) {
    const VectorSearchPlan &plan = state->plan;
    ExactWork work;
    work.rows = plan.share_read * rows_of_table(state);
    work.scattered = plan.scattered;
    work.pages =
        plan.scattered ? std::min(work.rows, pages_of_table(state)) : pages_of_table(state);
    work.passing = state->filters == Filters::none ? 1 : 0;
    work.expected = plan.expected;
    work.vector_bytes = plan.vector_bytes;
    work.out_of_line = plan.out_of_line;
    work.sorts_all = state->limit < 0;
    work.walked_bytes = plan.walked_bytes;
    work.compact = plan.compact;
    return work;
}

Filters present_filters(const VectorSearchState *state) {
    if (state->plan.filters != Filters::not_null)
        return state->plan.filters;
    return query_is_null(state->range, state->custom.ss.ps.ps_ExprContext) ? Filters::of_rows
                                                                           : Filters::none;
}

// A LIMIT whose value becomes known only now may be large, or NULL.
SearchOrder wanted_order(const VectorSearchState *state) {
    if (state->plan.order == SearchOrder::exact || state->limit_count == nullptr)
        return state->plan.order;
    return state->limit < 0 ||
                   is_large_limit(static_cast<double>(state->limit), rows_of_table(state))
               ? SearchOrder::exact
               : SearchOrder::as_found;
}

// Whether a scan as found is an answer, and its rows can be gathered.
bool can_gather(const VectorSearchState *state) {
    return state->plan.as_found_is_enough && state->limit >= 0 && state->limit <= most_gathered;
}

void prepare_budget(VectorSearchState *state) {
    if (state->budget == nullptr) {
        MemoryContext query = state->custom.ss.ps.state->es_query_cxt;
        state->budget = new (MemoryContextAlloc(query, sizeof(SearchBudget))) SearchBudget;
    }
    const ExactWork exact = exact_work(state);
    state->budget->begin_scan(state->has_exact ? &exact : nullptr,
                              static_cast<double>(state->limit));
    state->budget->extent = state->plan.extent == SearchExtent::everything
                                ? ScanGuide::Extent::everything
                                : ScanGuide::Extent::as_set;
}

// Tells the index scan between which distances rows are wanted. False: it is not needed.
bool apply_range(VectorSearchState *state) {
    const SearchRange range = search_range(state->range, state->custom.ss.ps.ps_ExprContext);
    state->budget->nearest = range.nearest;
    state->budget->farthest = range.farthest;
    state->complete_at_end = range.rows == SearchRange::Rows::of_index;
    if (range.rows == SearchRange::Rows::none)
        state->source = SearchSource::end;
    else if (range.rows == SearchRange::Rows::not_of_index)
        change_to_exact(state, ExactPart::all);
    else
        return true;
    return false;
}

// The index scan is begun here instead of by its node, so that it can be given its guide.
void begin_index_scan(VectorSearchState *state) {
    IndexScanState *scan = state->index_scan;
    if (scan->iss_ScanDesc != nullptr)
        return;
    scan->iss_ScanDesc = compat::begin_index_scan(scan, state->custom.ss.ps.state->es_snapshot);
    guide_scan(scan->iss_ScanDesc, state->budget);
    if (scan->iss_NumRuntimeKeys == 0 || scan->iss_RuntimeKeysReady)
        index_rescan(scan->iss_ScanDesc, scan->iss_ScanKeys, scan->iss_NumScanKeys,
                     scan->iss_OrderByKeys, scan->iss_NumOrderByKeys);
}

}  // namespace

void start_vector_search(VectorSearchState *state) {
    state->limit = evaluate_limit(state);
    state->filters = present_filters(state);
    prepare_budget(state);
    if (!apply_range(state))
        return;
    SearchBudget *budget = state->budget;
    const bool exact = wanted_order(state) == SearchOrder::exact;
    budget->order = exact ? ScanGuide::Order::exact : ScanGuide::Order::as_found;
    if (exact && !budget->is_worth_measuring_all(static_cast<double>(state->limit))) {
        if (!can_gather(state))
            return change_to_exact(state, ExactPart::all);
        budget->order = ScanGuide::Order::as_found;
    } else if (exact && state->filters == Filters::none && state->limit >= 0) {
        budget->lift();
    }
    // The search itself weighs the walk against measuring what its conditions admit.
    if (budget->order == ScanGuide::Order::as_found && state->filters == Filters::of_index &&
        state->limit >= 0)
        budget->lift();
    begin_index_scan(state);
    if (state->exact_began)
        share_hashed_subplans(state->exact, state->index);
    if (budget->order == ScanGuide::Order::as_found && can_gather(state)) {
        state->source = SearchSource::gathered;
        gather_rows(state);
    } else {
        state->source = SearchSource::index;
    }
}

}  // namespace dvec::postgres
