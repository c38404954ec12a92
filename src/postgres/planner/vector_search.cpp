// VectorSearch for the executor: the callbacks of its plan node (vector_search_path.hpp).
#include <algorithm>
#include <new>

#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/planner.hpp"
#include "postgres/planner/explain_search.hpp"
#include "postgres/planner/vector_search_rows.hpp"
#include "postgres/planner/vector_search_start.hpp"

namespace dvec::postgres {

namespace {

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

PlanState *init_child(VectorSearchState *state, VectorSearchChild child) {
    CustomScanState *node = &state->custom;
    const auto *scan = reinterpret_cast<const CustomScan *>(node->ss.ps.plan);
    PlanState *initialized = ExecInitNode(static_cast<Plan *>(list_nth(scan->custom_plans, child)),
                                          node->ss.ps.state, state->flags);
    // Ended, and begun again, with the node.
    node->custom_ps = lappend(node->custom_ps, initialized);
    return initialized;
}

void begin(CustomScanState *node, EState *estate, int flags) {
    VectorSearchState *state = state_of(node);
    const auto *scan = reinterpret_cast<const CustomScan *>(node->ss.ps.plan);
    state->flags = flags;
    state->index = init_child(state, index_child);
    state->has_exact = list_length(scan->custom_plans) > exact_child;
    // Whoever measures nodes counts them, and shows those that were never executed. A leader and
    // its parallel workers must have the same.
    if (state->has_exact && ((flags & EXEC_FLAG_EXPLAIN_ONLY) != 0 || estate->es_instrument != 0))
        exact_search(state);
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

TupleTableSlot *take_row(VectorSearchState *state) {
    // Rows that were locked are checked again one at a time, by the index scan's node alone.
    if (state->custom.ss.ps.state->es_epq_active != nullptr)
        return ExecProcNode(state->index);
    if (state->source == SearchSource::none)
        start_vector_search(state);
    return next_row(state);
}

// No query needs rows beyond its LIMIT, but a plan may sort the rows of this node and would read
// all of them.
bool has_more(const VectorSearchState *state) {
    if (state->source == SearchSource::none)
        return true;
    return state->source != SearchSource::end &&
           (state->limit < 0 || state->presented < state->limit);
}

TupleTableSlot *exec(CustomScanState *node) {
    return guarded([=]() -> TupleTableSlot * {
        VectorSearchState *state = state_of(node);
        ExprContext *context = node->ss.ps.ps_ExprContext;
        ResetExprContext(context);
        TupleTableSlot *row = has_more(state) ? take_row(state) : nullptr;
        if (TupIsNull(row)) {
            ExecClearTuple(node->ss.ss_ScanTupleSlot);
            return node->ss.ps.ps_ProjInfo != nullptr
                       ? ExecClearTuple(node->ss.ps.ps_ProjInfo->pi_state.resultslot)
                       : node->ss.ss_ScanTupleSlot;
        }
        context->ecxt_scantuple = present(state, row);
        ++state->presented;
        note_returned(state, context->ecxt_scantuple->tts_tid);
        return node->ss.ps.ps_ProjInfo != nullptr ? ExecProject(node->ss.ps.ps_ProjInfo)
                                                  : context->ecxt_scantuple;
    });
}

void rescan(CustomScanState *node) {
    guarded([=] {
        VectorSearchState *state = state_of(node);
        ListCell *cell;
        if (node->ss.ps.chgParam != nullptr)
            foreach (cell, node->custom_ps)
                UpdateChangedParamSet(static_cast<PlanState *>(lfirst(cell)), node->ss.ps.chgParam);
        // A child whose parameters have changed does it by itself when it is asked for a row. The
        // exact search waits until it is known how many rows are wanted of it (change_to_exact).
        if (state->index->chgParam == nullptr)
            ExecReScan(state->index);
        ExecClearTuple(node->ss.ss_ScanTupleSlot);
        ExecClearTuple(state->gathered_slot);
        MemoryContextReset(state->memory);
        state->returned = ReturnedRows{};
        state->gathered = nullptr;
        state->gathered_count = state->gathered_next = 0;
        state->exact_part = ExactPart::all;
        state->exact_has_missed = false;
        state->presented = 0;
        state->source = SearchSource::none;
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
        // The node's children are shown next, also of a plan that was executed without a thought of
        // that (auto_explain).
        if (state->has_exact)
            exact_search(state);
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

PlanState *exact_search(VectorSearchState *state) {
    if (state->exact == nullptr) {
        const MemoryContext caller = MemoryContextSwitchTo(state->custom.ss.ps.state->es_query_cxt);
        state->exact = init_child(state, exact_child);
        MemoryContextSwitchTo(caller);
    }
    return state->exact;
}

const CustomScanMethods vector_search_methods = {
    .CustomName = vector_search_name,
    .CreateCustomScanState = create_state,
};

}  // namespace dvec::postgres
