// PartitionMerge for the executor: the callbacks of its plan node (partition_merge_path.hpp).
#include <new>

#include "postgres/am/scan_guide.hpp"
#include "postgres/bridge/foreign.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/planner.hpp"
#include "postgres/planner/partition_merge_plan.hpp"
#include "postgres/planner/shard_requests.hpp"

namespace dvec::postgres {

namespace {

struct PartitionMergeState {
    CustomScanState custom;
    int count = 0;
    PlanState **children = nullptr;   // of each partition
    TupleTableSlot **rows = nullptr;  // the next of each; null when it has no more
    ShardRequests *requests = nullptr;
    bool *by_index = nullptr;  // whether a child's first key is its index scan's distance
    NullableDatum *first_keys = nullptr;
    int key_count = 0;
    SortSupportData *keys = nullptr;
    binaryheap *nearest = nullptr;  // the numbers of partitions that have a row, by that
    bool begun = false;
};

PartitionMergeState *state_of(CustomScanState *node) {
    return reinterpret_cast<PartitionMergeState *>(node);
}

// The heap has the greatest on top.
int compare_partitions(Datum left, Datum right, void *argument) {
    const auto *state = static_cast<const PartitionMergeState *>(argument);
    TupleTableSlot *left_row = state->rows[DatumGetInt32(left)];
    TupleTableSlot *right_row = state->rows[DatumGetInt32(right)];
    const NullableDatum &left_first = state->first_keys[DatumGetInt32(left)];
    const NullableDatum &right_first = state->first_keys[DatumGetInt32(right)];
    const int first = ApplySortComparator(left_first.value, left_first.isnull, right_first.value,
                                          right_first.isnull, &state->keys[0]);
    if (first != 0)
        return first < 0 ? 1 : -1;
    for (int number = 1; number < state->key_count; ++number) {
        SortSupport key = &state->keys[number];
        bool left_is_null;
        bool right_is_null;
        const Datum left_value = slot_getattr(left_row, key->ssup_attno, &left_is_null);
        const Datum right_value = slot_getattr(right_row, key->ssup_attno, &right_is_null);
        const int order =
            ApplySortComparator(left_value, left_is_null, right_value, right_is_null, key);
        if (order != 0)
            return order < 0 ? 1 : -1;
    }
    return 0;
}

void prepare_keys(PartitionMergeState *state, const CustomScan *scan) {
    const auto part = [scan](int number) {
        return static_cast<const List *>(list_nth(scan->custom_private, number));
    };
    state->key_count = list_length(part(key_columns));
    state->keys = static_cast<SortSupportData *>(
        palloc0(static_cast<Size>(state->key_count) * sizeof(SortSupportData)));
    for (int number = 0; number < state->key_count; ++number) {
        SortSupport key = &state->keys[number];
        key->ssup_cxt = CurrentMemoryContext;
        key->ssup_collation = list_nth_oid(part(key_collations), number);
        key->ssup_nulls_first = list_nth_int(part(key_nulls_first), number) != 0;
        key->ssup_attno = static_cast<AttrNumber>(list_nth_int(part(key_columns), number));
        PrepareSortSupportFromOrderingOp(list_nth_oid(part(key_operators), number), key);
    }
}

void begin(CustomScanState *node, EState *estate, int flags) {
    PartitionMergeState *state = state_of(node);
    const auto *scan = reinterpret_cast<const CustomScan *>(node->ss.ps.plan);
    state->count = list_length(scan->custom_plans);
    const auto count = static_cast<Size>(state->count);
    state->children = static_cast<PlanState **>(palloc0(count * sizeof(PlanState *)));
    state->rows = static_cast<TupleTableSlot **>(palloc0(count * sizeof(TupleTableSlot *)));
    const ListCell *cell;
    foreach (cell, scan->custom_plans) {
        PlanState *child = ExecInitNode(static_cast<Plan *>(lfirst(cell)), estate, flags);
        state->children[foreach_current_index(cell)] = child;
        node->custom_ps = lappend(node->custom_ps, child);
    }
    state->first_keys = static_cast<NullableDatum *>(palloc0(count * sizeof(NullableDatum)));
    state->by_index = static_cast<bool *>(palloc0(count * sizeof(bool)));
    foreach (cell, static_cast<const List *>(list_nth(scan->custom_private, children_by_index)))
        state->by_index[lfirst_int(cell)] = true;
    state->requests = make_shard_requests(estate, state->count);
    prepare_keys(state, scan);
    state->nearest = binaryheap_allocate(state->count, compare_partitions, state);
}

// Those that are asynchronous are only asked. None is where a row that was locked is looked at
// again.
void ask(PartitionMergeState *state, int number) {
    PlanState *child = state->children[number];
    if (child->async_capable) {
        request_row(state->requests, number, child);
        return;
    }
    TupleTableSlot *row = ExecProcNode(child);
    state->rows[number] = TupIsNull(row) ? nullptr : row;
}

bool has_row(PartitionMergeState *state, int number) {
    if (state->children[number]->async_capable)
        state->rows[number] = requested_row(state->requests, number);
    TupleTableSlot *row = state->rows[number];
    if (row == nullptr)
        return false;
    NullableDatum *first = &state->first_keys[number];
    if (state->by_index[number]) {
        const auto *scan = reinterpret_cast<const IndexScanState *>(state->children[number]);
        *first = {Float8GetDatum(distance_of_last_row(scan->iss_ScanDesc)), false};
    } else {
        first->value = slot_getattr(row, state->keys[0].ssup_attno, &first->isnull);
    }
    return true;
}

// Shards are asked before the partitions that are here, which search meanwhile.
void ask_all(PartitionMergeState *state) {
    for (const bool asynchronous : {true, false})
        for (int number = 0; number < state->count; ++number)
            if (state->children[number]->async_capable == asynchronous)
                ask(state, number);
    await_rows(state->requests);
    for (int number = 0; number < state->count; ++number)
        if (has_row(state, number))
            binaryheap_add_unordered(state->nearest, Int32GetDatum(number));
    binaryheap_build(state->nearest);
    state->begun = true;
}

void ask_for_next(PartitionMergeState *state) {
    const Datum first = binaryheap_first(state->nearest);
    ask(state, DatumGetInt32(first));
    await_rows(state->requests);
    if (has_row(state, DatumGetInt32(first)))
        binaryheap_replace_first(state->nearest, first);
    else
        (void)binaryheap_remove_first(state->nearest);
}

TupleTableSlot *next_row(PartitionMergeState *state) {
    if (!state->begun)
        ask_all(state);
    else if (!binaryheap_empty(state->nearest))
        ask_for_next(state);
    if (binaryheap_empty(state->nearest))
        return nullptr;
    return state->rows[DatumGetInt32(binaryheap_first(state->nearest))];
}

// As the node's own columns. The row is valid for as long as the child's is.
TupleTableSlot *present(PartitionMergeState *state, TupleTableSlot *row) {
    TupleTableSlot *slot = state->custom.ss.ss_ScanTupleSlot;
    ExecClearTuple(slot);
    const int columns = slot->tts_tupleDescriptor->natts;
    slot_getsomeattrs(row, columns);
    const auto count = static_cast<Size>(columns);
    std::memcpy(slot->tts_values, row->tts_values, count * sizeof(Datum));
    std::memcpy(slot->tts_isnull, row->tts_isnull, count * sizeof(bool));
    return ExecStoreVirtualTuple(slot);
}

TupleTableSlot *exec(CustomScanState *node) {
    return guarded([=]() -> TupleTableSlot * {
        PartitionMergeState *state = state_of(node);
        ExprContext *context = node->ss.ps.ps_ExprContext;
        ProjectionInfo *projection = node->ss.ps.ps_ProjInfo;
        ResetExprContext(context);
        TupleTableSlot *row = next_row(state);
        if (row == nullptr)
            return ExecClearTuple(projection != nullptr ? projection->pi_state.resultslot
                                                        : node->ss.ss_ScanTupleSlot);
        context->ecxt_scantuple = present(state, row);
        return projection != nullptr ? ExecProject(projection) : context->ecxt_scantuple;
    });
}

void rescan(CustomScanState *node) {
    guarded([=] {
        PartitionMergeState *state = state_of(node);
        for (int number = 0; number < state->count; ++number) {
            PlanState *child = state->children[number];
            if (node->ss.ps.chgParam != nullptr)
                UpdateChangedParamSet(child, node->ss.ps.chgParam);
            // A child whose parameters have changed does it by itself when it is asked for a row.
            if (child->chgParam == nullptr)
                ExecReScan(child);
            state->rows[number] = nullptr;
        }
        ExecClearTuple(node->ss.ss_ScanTupleSlot);
        forget_requests(state->requests);
        binaryheap_reset(state->nearest);
        state->begun = false;
    });
}

void end(CustomScanState *node) {
    ListCell *cell;
    foreach (cell, node->custom_ps)
        ExecEndNode(static_cast<PlanState *>(lfirst(cell)));
}

const CustomExecMethods exec_methods = {
    .CustomName = partition_merge_name,
    .BeginCustomScan = [](CustomScanState *node, EState *estate,
                          int flags) { guarded([=] { begin(node, estate, flags); }); },
    .ExecCustomScan = exec,
    .EndCustomScan = [](CustomScanState *node) { guarded([=] { end(node); }); },
    .ReScanCustomScan = rescan,
};

Node *create_state(CustomScan *) {
    return guarded([]() -> Node * {
        auto *state = new (palloc(sizeof(PartitionMergeState))) PartitionMergeState{};
        NodeSetTag(&state->custom, T_CustomScanState);
        state->custom.methods = &exec_methods;
        return reinterpret_cast<Node *>(state);
    });
}

}  // namespace

const CustomScanMethods partition_merge_methods = {
    .CustomName = partition_merge_name,
    .CreateCustomScanState = create_state,
};

}  // namespace dvec::postgres
