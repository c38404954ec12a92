// The executor's side of VectorSearch (vector_search_path.hpp).
//
// Where it is known how many rows are going to be asked for, and they are few, they are gathered
// before the first is returned: if the index cannot supply them within the budget, the exact search
// starts from the beginning, and its answer is complete. Where that is not known (a join above) or
// rows are many, they are returned as they come. The exact search then continues where the index
// scan stopped: it skips rows nearer than the last row of the index, and those already returned. In
// exact order no row is lost by that. As found, a near row that the walk missed is.
#include <algorithm>

#include "postgres/am/scan_guide.hpp"
#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/planner.hpp"
#include "postgres/planner/explain_search.hpp"
#include "postgres/planner/search_budget.hpp"
#include "postgres/planner/search_range.hpp"
#include "postgres/planner/vector_search_plan.hpp"

namespace dvec::postgres {

namespace {

// More rows than this are not gathered.
constexpr int64 most_gathered = 10000;

enum class Source : unsigned char {
    none,      // nothing was asked for yet
    gathered,  // what the index gave, gathered
    index,
    exact,  // the exact search, from its beginning or behind what the index gave
    end
};

struct Returned {
    ItemPointerData *tids = nullptr;
    Size count = 0;
    Size room = 0;
};

struct VectorSearchState {
    CustomScanState custom;
    VectorSearchPlan plan;
    PlanState *index = nullptr;
    IndexScanState *index_scan = nullptr;
    PlanState *exact = nullptr;  // null when there is none
    ExprState *limit_count = nullptr;
    ExprState *limit_offset = nullptr;

    MemoryContext memory = nullptr;  // of one scan: gathered rows, TIDs
    SearchRangeState *range = nullptr;
    bool complete_at_end = false;    // the exact search has no rows that the index has not
    SearchBudget *budget = nullptr;  // for the whole query: the index scan has its address
    Source source = Source::none;
    int64 limit = -1;     // rows that are wanted; -1: not known
    int64 presented = 0;  // of them
    TupleTableSlot *gathered_slot = nullptr;
    MinimalTuple *gathered = nullptr;
    int64 gathered_count = 0;
    int64 gathered_next = 0;
    Returned returned;
    bool passing_over = false;  // the exact search has not come to where the index was left
    uint64 changes = 0;         // to the exact search, over all rescans
};

VectorSearchState *state_of(CustomScanState *node) {
    return reinterpret_cast<VectorSearchState *>(node);
}

// The index scan may stand below a node that checks a condition without columns once.
IndexScanState *find_index_scan(PlanState *child) {
    while (child != nullptr && !IsA(child, IndexScanState))
        child = outerPlanState(child);
    if (child == nullptr)
        elog(ERROR, "VectorSearch without an index scan");
    return reinterpret_cast<IndexScanState *>(child);
}

ExprState *init_part(const CustomScan *scan, int part, PlanState *parent) {
    auto *expressions = static_cast<List *>(list_nth(scan->custom_exprs, part));
    return expressions == NIL ? nullptr
                              : ExecInitExpr(static_cast<Expr *>(linitial(expressions)), parent);
}

void begin(CustomScanState *node, EState *estate, int flags) {
    VectorSearchState *state = state_of(node);
    const auto *scan = reinterpret_cast<const CustomScan *>(node->ss.ps.plan);
    ListCell *cell;
    foreach (cell, scan->custom_plans)
        node->custom_ps = lappend(node->custom_ps,
                                  ExecInitNode(static_cast<Plan *>(lfirst(cell)), estate, flags));
    state->index = static_cast<PlanState *>(list_nth(node->custom_ps, index_child));
    state->exact = list_length(node->custom_ps) > exact_child
                       ? static_cast<PlanState *>(list_nth(node->custom_ps, exact_child))
                       : nullptr;
    state->index_scan = find_index_scan(state->index);
    // UPDATE … WHERE CURRENT OF looks for the scan of a table here.
    node->ss.ss_currentRelation = state->index_scan->ss.ss_currentRelation;

    state->range = init_search_range(scan, &node->ss.ps, state->index_scan->iss_RelationDesc);
    state->limit_count = init_part(scan, limit_count_expression, &node->ss.ps);
    state->limit_offset = init_part(scan, limit_offset_expression, &node->ss.ps);
    state->memory =
        AllocSetContextCreate(estate->es_query_cxt, "VectorSearch rows", ALLOCSET_DEFAULT_SIZES);
    state->gathered_slot = ExecInitExtraTupleSlot(
        estate, node->ss.ss_ScanTupleSlot->tts_tupleDescriptor, &TTSOpsMinimalTuple);
}

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

// As the node's own columns. The row is valid for as long as the child's is.
TupleTableSlot *present(VectorSearchState *state, TupleTableSlot *row) {
    TupleTableSlot *slot = state->custom.ss.ss_ScanTupleSlot;
    ExecClearTuple(slot);
    slot_getsomeattrs(row, state->plan.columns);
    const auto columns = static_cast<Size>(state->plan.columns);
    std::memcpy(slot->tts_values, row->tts_values, columns * sizeof(Datum));
    std::memcpy(slot->tts_isnull, row->tts_isnull, columns * sizeof(bool));
    ItemPointerCopy(
        reinterpret_cast<ItemPointer>(DatumGetPointer(slot->tts_values[state->plan.tid_column])),
        &slot->tts_tid);
    slot->tts_tableOid = RelationGetRelid(state->custom.ss.ss_currentRelation);
    return ExecStoreVirtualTuple(slot);
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

TupleTableSlot *next_of_index(VectorSearchState *state) {
    state->budget->begin_work();
    TupleTableSlot *row = ExecProcNode(state->index);
    state->budget->end_work();
    if (TupIsNull(row))
        return nullptr;
    state->budget->count_passed();
    return row;
}

int compare_tids(const void *left, const void *right) {
    return ItemPointerCompare(static_cast<ItemPointer>(const_cast<void *>(left)),
                              static_cast<ItemPointer>(const_cast<void *>(right)));
}

void change_to_exact(VectorSearchState *state, bool passing_over) {
    ++state->changes;
    state->source = Source::exact;
    state->passing_over = passing_over;
    Returned &returned = state->returned;
    if (passing_over)
        ::qsort(returned.tids, returned.count, sizeof(ItemPointerData), compare_tids);
    // Rows that are skipped would count towards the bound.
    ExecSetTupleBound(passing_over ? -1 : state->limit, state->exact);
}

void remember(VectorSearchState *state, const ItemPointerData &tid) {
    Returned &returned = state->returned;
    if (returned.count == returned.room) {
        returned.room = std::max<Size>(64, returned.room * 2);
        const Size size = returned.room * sizeof(ItemPointerData);
        returned.tids = static_cast<ItemPointerData *>(
            returned.tids == nullptr ? MemoryContextAllocHuge(state->memory, size)
                                     : repalloc_huge(returned.tids, size));
    }
    returned.tids[returned.count++] = tid;
}

// Whether the exact search may have rows that the index scan, which has ended, had not.
bool exact_has_more(const VectorSearchState *state) {
    if (state->exact == nullptr)
        return false;
    switch (state->budget->end) {
        case ScanGuide::End::walk:
        case ScanGuide::End::spent:
            return true;
        // Rows without a place in the index come behind all others. Whether there are any is asked
        // after the snapshot was taken: whoever inserted one that it sees had noted it before.
        case ScanGuide::End::all:
            return !state->complete_at_end && !index_has_all_rows(state->range);
        case ScanGuide::End::none:
        case ScanGuide::End::farthest:
        case ScanGuide::End::setting:
            break;
    }
    return false;
}

void gather(VectorSearchState *state) {
    const MemoryContext caller = MemoryContextSwitchTo(state->memory);
    state->gathered =
        static_cast<MinimalTuple *>(palloc(sizeof(MinimalTuple) * static_cast<Size>(state->limit)));
    MemoryContextSwitchTo(caller);
    while (state->gathered_count < state->limit) {
        CHECK_FOR_INTERRUPTS();
        TupleTableSlot *row = next_of_index(state);
        if (row == nullptr) {
            if (exact_has_more(state))
                change_to_exact(state, false);
            return;
        }
        MemoryContextSwitchTo(state->memory);
        state->gathered[state->gathered_count++] = ExecCopySlotMinimalTuple(row);
        MemoryContextSwitchTo(caller);
    }
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
    work.pages = plan.share_read * pages_of_table(state);
    work.rows = work.pages * plan.rows_per_page;
    work.passing = plan.filters == Filters::none ? 1 : 0;
    work.vector_bytes = plan.vector_bytes;
    work.out_of_line = plan.out_of_line;
    work.sorts_all = state->limit < 0;
    work.walked_bytes = plan.walked_bytes;
    return work;
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
    state->budget->begin_scan(state->exact != nullptr ? &exact : nullptr);
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
        state->source = Source::end;
    else if (range.rows == SearchRange::Rows::not_of_index)
        change_to_exact(state, false);
    else
        return true;
    return false;
}

void start(VectorSearchState *state) {
    state->limit = evaluate_limit(state);
    prepare_budget(state);
    if (!apply_range(state))
        return;
    SearchBudget *budget = state->budget;
    const bool exact = wanted_order(state) == SearchOrder::exact;
    budget->order = exact ? ScanGuide::Order::exact : ScanGuide::Order::as_found;
    if (exact && !budget->is_worth_measuring_all(static_cast<double>(state->limit))) {
        if (!can_gather(state))
            return change_to_exact(state, false);
        budget->order = ScanGuide::Order::as_found;
    } else if (exact && state->plan.filters == Filters::none && state->limit >= 0) {
        budget->lift();
    }
    // The search itself weighs the walk against measuring what its conditions admit.
    if (budget->order == ScanGuide::Order::as_found && state->plan.filters == Filters::of_index &&
        state->limit >= 0)
        budget->lift();
    begin_index_scan(state);
    if (budget->order == ScanGuide::Order::as_found && can_gather(state)) {
        state->source = Source::gathered;
        gather(state);
    } else {
        state->source = Source::index;
    }
}

TupleTableSlot *next_gathered(VectorSearchState *state) {
    if (state->gathered_next == state->gathered_count)
        return nullptr;
    return ExecStoreMinimalTuple(state->gathered[state->gathered_next++], state->gathered_slot,
                                 false);
}

bool was_returned(const VectorSearchState *state, TupleTableSlot *row) {
    bool is_null;
    const Datum tid = slot_getattr(row, state->plan.tid_column + 1, &is_null);
    const Returned &returned = state->returned;
    return std::bsearch(DatumGetPointer(tid), returned.tids, returned.count,
                        sizeof(ItemPointerData), compare_tids) != nullptr;
}

TupleTableSlot *next_of_exact(VectorSearchState *state) {
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        TupleTableSlot *row = ExecProcNode(state->exact);
        if (TupIsNull(row))
            return nullptr;
        if (!state->passing_over)
            return row;
        bool is_null;
        const float8 distance =
            DatumGetFloat8(slot_getattr(row, state->plan.distance_column + 1, &is_null));
        if (!is_null && float8_lt(distance, state->budget->last))
            continue;
        if (was_returned(state, row))
            continue;
        return row;
    }
}

TupleTableSlot *next_row(VectorSearchState *state) {
    // Rows that were locked are checked again one at a time, by the index scan's node alone.
    if (state->custom.ss.ps.state->es_epq_active != nullptr)
        return ExecProcNode(state->index);
    if (state->source == Source::none)
        start(state);
    TupleTableSlot *row = nullptr;
    if (state->source == Source::gathered)
        row = next_gathered(state);
    if (state->source == Source::index) {
        row = next_of_index(state);
        if (row == nullptr && exact_has_more(state))
            change_to_exact(state, state->returned.count > 0);
    }
    if (state->source == Source::exact)
        row = next_of_exact(state);
    if (row == nullptr)
        state->source = Source::end;
    return row;
}

// No query needs rows beyond its LIMIT, but a plan may sort the rows of this node and would read
// all of them.
bool has_more(const VectorSearchState *state) {
    if (state->source == Source::none)
        return true;
    return state->source != Source::end && (state->limit < 0 || state->presented < state->limit);
}

TupleTableSlot *exec(CustomScanState *node) {
    return guarded([=]() -> TupleTableSlot * {
        VectorSearchState *state = state_of(node);
        ExprContext *context = node->ss.ps.ps_ExprContext;
        ResetExprContext(context);
        TupleTableSlot *row = has_more(state) ? next_row(state) : nullptr;
        if (TupIsNull(row)) {
            ExecClearTuple(node->ss.ss_ScanTupleSlot);
            return node->ss.ps.ps_ProjInfo != nullptr
                       ? ExecClearTuple(node->ss.ps.ps_ProjInfo->pi_state.resultslot)
                       : node->ss.ss_ScanTupleSlot;
        }
        context->ecxt_scantuple = present(state, row);
        ++state->presented;
        if (state->source == Source::index)
            remember(state, context->ecxt_scantuple->tts_tid);
        return node->ss.ps.ps_ProjInfo != nullptr ? ExecProject(node->ss.ps.ps_ProjInfo)
                                                  : context->ecxt_scantuple;
    });
}

void rescan(CustomScanState *node) {
    guarded([=] {
        VectorSearchState *state = state_of(node);
        ListCell *cell;
        foreach (cell, node->custom_ps) {
            auto *child = static_cast<PlanState *>(lfirst(cell));
            if (node->ss.ps.chgParam != nullptr)
                UpdateChangedParamSet(child, node->ss.ps.chgParam);
            // A child whose parameters have changed does it by itself when it is asked for a row.
            if (child->chgParam == nullptr)
                ExecReScan(child);
        }
        ExecClearTuple(node->ss.ss_ScanTupleSlot);
        ExecClearTuple(state->gathered_slot);
        MemoryContextReset(state->memory);
        state->returned = Returned{};
        state->gathered = nullptr;
        state->gathered_count = state->gathered_next = 0;
        state->passing_over = false;
        state->presented = 0;
        state->source = Source::none;
    });
}

void end(CustomScanState *node) {
    ListCell *cell;
    foreach (cell, node->custom_ps)
        ExecEndNode(static_cast<PlanState *>(lfirst(cell)));
}

void explain(CustomScanState *node, List *, ExplainState *output) {
    guarded([=] {
        VectorSearchState *state = state_of(node);
        ExplainPropertyText("Search Order",
                            state->plan.order == SearchOrder::exact ? "exact" : "as found", output);
        if (!output->analyze)
            return;
        const IndexScanDesc scan = state->index_scan->iss_ScanDesc;
        explain_search(scan != nullptr ? search_counts(scan) : SearchCounts(), output);
        ExplainPropertyUInteger("Changes to Exact Search", nullptr, state->changes, output);
    });
}

const CustomExecMethods exec_methods = {
    .CustomName = vector_search_name,
    .BeginCustomScan = [](CustomScanState *node, EState *estate,
                          int flags) { guarded([=] { begin(node, estate, flags); }); },
    .ExecCustomScan = exec,
    .EndCustomScan = [](CustomScanState *node) { guarded([=] { end(node); }); },
    .ReScanCustomScan = rescan,
    .ExplainCustomScan = explain,
};

Node *create_state(CustomScan *scan) {
    return guarded([=]() -> Node * {
        auto *state = new (palloc(sizeof(VectorSearchState))) VectorSearchState{};
        NodeSetTag(&state->custom, T_CustomScanState);
        state->custom.methods = &exec_methods;
        state->plan = from_private(list_nth_node(List, scan->custom_private, numbers_part));
        return reinterpret_cast<Node *>(state);
    });
}

}  // namespace

const CustomScanMethods vector_search_methods = {
    .CustomName = vector_search_name,
    .CreateCustomScanState = create_state,
};

// Numbers that are no integers travel as text.
List *to_private(const VectorSearchPlan &plan) {
    const auto integer = [](auto value) { return makeInteger(static_cast<int>(value)); };
    const auto real = [](double value) { return makeFloat(psprintf("%.17g", value)); };
    List *choices = list_make5(integer(plan.order), integer(plan.extent), integer(plan.unusual),
                               integer(plan.as_found_is_enough), integer(plan.filters));
    List *columns = list_make4(integer(plan.out_of_line), integer(plan.columns),
                               integer(plan.tid_column), integer(plan.distance_column));
    List *sizes = list_make4(real(plan.rows_per_page), real(plan.share_read),
                             real(plan.vector_bytes), real(plan.walked_bytes));
    return list_concat(list_concat(choices, columns), sizes);
}

VectorSearchPlan from_private(const List *numbers) {
    const auto integer = [numbers](int number) { return intVal(list_nth(numbers, number)); };
    const auto real = [numbers](int number) { return floatVal(list_nth(numbers, number)); };
    return {
        .order = static_cast<SearchOrder>(integer(0)),
        .extent = static_cast<SearchExtent>(integer(1)),
        .unusual = static_cast<UnusualRows>(integer(2)),
        .as_found_is_enough = integer(3) != 0,
        .filters = static_cast<Filters>(integer(4)),
        .out_of_line = integer(5) != 0,
        .columns = integer(6),
        .tid_column = integer(7),
        .distance_column = integer(8),
        .rows_per_page = real(9),
        .share_read = real(10),
        .vector_bytes = real(11),
        .walked_bytes = real(12),
    };
}

}  // namespace dvec::postgres
