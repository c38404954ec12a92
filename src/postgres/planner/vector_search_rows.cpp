#include "postgres/planner/vector_search_rows.hpp"

#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/planner.hpp"
#include "postgres/planner/hashed_subplans.hpp"

namespace dvec::postgres {

namespace {

TupleTableSlot *next_of_index(VectorSearchState *state) {
    state->budget->begin_work();
    TupleTableSlot *row = ExecProcNode(state->index);
    state->budget->end_work();
    if (TupIsNull(row))
        return nullptr;
    state->budget->count_passed();
    return row;
}

// Whether the exact search may have rows that the index scan, which has ended, had not.
bool exact_has_more(const VectorSearchState *state) {
    if (!state->has_exact)
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

TupleTableSlot *next_gathered(VectorSearchState *state) {
    if (state->gathered_next == state->gathered_count)
        return nullptr;
    return ExecStoreMinimalTuple(state->gathered[state->gathered_next++], state->gathered_slot,
                                 false);
}

bool is_nearer_than_index(const VectorSearchState *state, TupleTableSlot *row) {
    bool is_null;
    const float8 distance =
        DatumGetFloat8(slot_getattr(row, state->plan.distance_column + 1, &is_null));
    return !is_null && float8_lt(distance, state->budget->last);
}

bool was_returned(const VectorSearchState *state, TupleTableSlot *row) {
    bool is_null;
    const Datum tid = slot_getattr(row, state->plan.tid_column + 1, &is_null);
    return state->returned.contains(*reinterpret_cast<ItemPointer>(DatumGetPointer(tid)));
}

// What the index has missed is returned in a second reading, behind all others. In exact order it
// has missed nothing that is to be returned.
bool begin_missed(VectorSearchState *state) {
    if (!state->exact_has_missed)
        return false;
    state->exact_has_missed = false;
    state->exact_part = ExactPart::missed;
    ExecReScan(state->exact);
    return true;
}

TupleTableSlot *next_of_exact(VectorSearchState *state) {
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        TupleTableSlot *row = ExecProcNode(state->exact);
        if (TupIsNull(row)) {
            if (!begin_missed(state))
                return nullptr;
            continue;
        }
        if (state->exact_part == ExactPart::all)
            return row;
        const bool is_nearer = is_nearer_than_index(state, row);
        // Where the query orders by rounded distances, a row that is not nearer may come before
        // one that is.
        if (state->exact_part == ExactPart::missed && !is_nearer)
            continue;
        if (is_nearer && state->budget->order == ScanGuide::Order::exact)
            continue;
        if (was_returned(state, row))
            continue;
        if (!is_nearer || state->exact_part == ExactPart::missed)
            return row;
        state->exact_has_missed = !state->plan.leaves_out_missed;
    }
}

// A sort that is begun again keeps the rows it has, unless more or fewer are wanted of it than
// before. So that is said first.
void begin_exact(VectorSearchState *state, int64 bound) {
    PlanState *exact = exact_search(state);
    share_hashed_subplans(state->index, exact);
    ExecSetTupleBound(bound, exact);
    // A child whose parameters have changed begins again when it is asked for a row.
    if (state->exact_began && exact->chgParam == nullptr)
        ExecReScan(exact);
    state->exact_began = true;
}

}  // namespace

void change_to_exact(VectorSearchState *state, ExactPart part) {
    ++state->changes;
    state->source = SearchSource::exact;
    state->exact_part = part;
    const bool skips = part != ExactPart::all;
    if (skips)
        state->returned.sort();
    // Rows that are skipped would count towards the bound.
    begin_exact(state, skips ? -1 : state->limit);
}

void gather_rows(VectorSearchState *state) {
    const MemoryContext caller = MemoryContextSwitchTo(state->memory);
    state->gathered =
        static_cast<MinimalTuple *>(palloc(sizeof(MinimalTuple) * static_cast<Size>(state->limit)));
    MemoryContextSwitchTo(caller);
    while (state->gathered_count < state->limit) {
        CHECK_FOR_INTERRUPTS();
        TupleTableSlot *row = next_of_index(state);
        if (row == nullptr) {
            if (exact_has_more(state))
                change_to_exact(state, ExactPart::all);
            return;
        }
        MemoryContextSwitchTo(state->memory);
        state->gathered[state->gathered_count++] = ExecCopySlotMinimalTuple(row);
        MemoryContextSwitchTo(caller);
    }
}

TupleTableSlot *next_row(VectorSearchState *state) {
    TupleTableSlot *row = nullptr;
    if (state->source == SearchSource::gathered)
        row = next_gathered(state);
    if (state->source == SearchSource::index) {
        const bool is_full = state->has_exact && state->returned.is_full();
        row = is_full ? nullptr : next_of_index(state);
        if (row == nullptr && (is_full || exact_has_more(state)))
            change_to_exact(state,
                            state->returned.is_empty() ? ExactPart::all : ExactPart::behind_index);
    }
    if (state->source == SearchSource::exact)
        row = next_of_exact(state);
    if (row == nullptr)
        state->source = SearchSource::end;
    return row;
}

void note_returned(VectorSearchState *state, const ItemPointerData &tid) {
    if (!state->has_exact || state->source != SearchSource::index)
        return;
    // In exact order, only rows as far as the last one are in doubt.
    const SearchBudget &budget = *state->budget;
    if (budget.order == ScanGuide::Order::exact && float8_lt(state->last_returned, budget.last))
        state->returned.forget();
    state->last_returned = budget.last;
    state->returned.add(tid, state->memory);
}

}  // namespace dvec::postgres
