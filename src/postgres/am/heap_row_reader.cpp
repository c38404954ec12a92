#include "postgres/am/heap_row_reader.hpp"

#include "postgres/bridge/heap.hpp"
#include "postgres/relation/item_pointer.hpp"
#include "postgres/relation/opclass.hpp"
#include "postgres/relation/owner_rights.hpp"

namespace dvec::postgres {

HeapRowReader *HeapRowReader::open(IndexScanDesc scan) {
    auto *reader = new (palloc0(sizeof(HeapRowReader))) HeapRowReader;
    reader->heap_ = scan->heapRelation;
    reader->index_ = scan->indexRelation;
    reader->snapshot_ = scan->xs_snapshot;
    reader->key_ = &scan->orderByData[0];
    reader->query_ = (reader->key_->sk_flags & SK_ISNULL) == 0
                         ? PointerGetDatum(PG_DETOAST_DATUM(reader->key_->sk_argument))
                         : Datum{0};
    reader->support_ = index_support(reader->index_);
    reader->fetch_ = table_index_fetch_begin(reader->heap_);
    // A copy of the description is not counted among the references that must be given back.
    reader->slot_ = MakeSingleTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(reader->heap_)),
                                             table_slot_callbacks(reader->heap_));
    reader->index_info_ = BuildIndexInfo(reader->index_);
    reader->executor_ = CreateExecutorState();
    GetPerTupleExprContext(reader->executor_)->ecxt_scantuple = reader->slot_;
    reader->predicate_ = ExecPrepareQual(reader->index_info_->ii_Predicate, reader->executor_);
    reader->row_context_ =
        AllocSetContextCreate(CurrentMemoryContext, "dvec row of a page", ALLOCSET_DEFAULT_SIZES);
    return reader;
}

void HeapRowReader::unpin() {
    ExecClearTuple(slot_);
    table_index_fetch_reset(fetch_);
}

bool HeapRowReader::measure(graph::Tid tid, double *distance) {
    const ItemPointerData item = item_pointer(tid);
    bool found = false;
    if (has_expressions())
        with_owner_rights(heap_, index_, [&] { found = measure_in_order(item, distance); });
    else
        found = measure_in_order(item, distance);
    unpin();
    return found;
}

Oid HeapRowReader::value_out_of_line(graph::Tid tid) {
    const AttrNumber column = index_info_->ii_IndexAttrNumbers[0];
    if (column <= 0)
        return InvalidOid;
    ItemPointerData item = item_pointer(tid);
    bool call_again = false;
    bool all_dead = false;
    varatt_external pointer{};
    if (table_index_fetch_tuple(fetch_, &item, snapshot_, slot_, &call_again, &all_dead)) {
        bool is_null = false;
        const Datum value = slot_getattr(slot_, column, &is_null);
        if (!is_null && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(value)))
            VARATT_EXTERNAL_GET_POINTER(pointer, DatumGetPointer(value));
    }
    unpin();
    return pointer.va_toastrelid == heap_->rd_rel->reltoastrelid ? pointer.va_valueid : InvalidOid;
}

bool HeapRowReader::measure_in_order(ItemPointerData tid, double *distance) {
    const MemoryContext caller = MemoryContextSwitchTo(row_context_);
    const bool found = measure_visible(tid, distance);
    MemoryContextSwitchTo(caller);
    MemoryContextReset(row_context_);
    ResetPerTupleExprContext(executor_);
    return found;
}

bool HeapRowReader::measure_visible(ItemPointerData tid, double *distance) {
    bool call_again = false;
    bool all_dead = false;
    return table_index_fetch_tuple(fetch_, &tid, snapshot_, slot_, &call_again, &all_dead) &&
           (predicate_ == nullptr || ExecQual(predicate_, GetPerTupleExprContext(executor_))) &&
           measure_row(distance);
}

bool HeapRowReader::measure_row(double *distance) {
    Datum values[INDEX_MAX_KEYS];
    bool nulls[INDEX_MAX_KEYS];
    FormIndexDatum(index_info_, slot_, executor_, values, nulls);
    if (nulls[0])
        return false;
    const Datum value = PointerGetDatum(PG_DETOAST_DATUM(values[0]));
    const int dimensions = TupleDescAttr(RelationGetDescr(index_), 0)->atttypmod;
    if (encode_row(*support_, dimensions, value) == nullptr)
        return false;
    *distance =
        (key_->sk_flags & SK_ISNULL) != 0
            ? 0
            : DatumGetFloat8(FunctionCall2Coll(&key_->sk_func, key_->sk_collation, value, query_));
    return true;
}

}  // namespace dvec::postgres
