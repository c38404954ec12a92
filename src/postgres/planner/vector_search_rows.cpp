#include "postgres/planner/vector_search_rows.hpp"

#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/planner.hpp"

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

bool was_returned(const VectorSearchState *state, TupleTableSlot *row) {
    bool is_null;
    const Datum tid = slot_getattr(row, state->plan.tid_column + 1, &is_null);
    return state->returned.contains(*reinterpret_cast<ItemPointer>(DatumGetPointer(tid)));
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

}  // namespace

void change_to_exact(VectorSearchState *state, ExactPart part) {
    ++state->changes;
    state->source = SearchSource::exact;
    state->passing_over = part == ExactPart::behind_index;
    if (state->passing_over)
        state->returned.sort();
    // Rows that are skipped would count towards the bound.
    ExecSetTupleBound(state->passing_over ? -1 : state->limit, exact_search(state));
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
        row = next_of_index(state);
        if (row == nullptr && exact_has_more(state))
            change_to_exact(state,
                            state->returned.is_empty() ? ExactPart::all : ExactPart::behind_index);
    }
    if (state->source == SearchSource::exact)
        row = next_of_exact(state);
    if (row == nullptr)
        state->source = SearchSource::end;
    return row;
}

}  // namespace dvec::postgres
