// A row is reached as the executor will reach it: by the first line pointer of its chain of
// versions (HOT), which is the TID that indexes have, and the snapshot chooses the version. At most
// one version of a chain is visible to a snapshot.
#include "postgres/am/heap_rows.hpp"

#include <algorithm>

#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/relation/item_pointer.hpp"
#include "postgres/relation/opclass.hpp"
#include "postgres/relation/owner_rights.hpp"

namespace dvec::postgres {

struct HeapRowReader {
    Relation heap;
    Relation index;
    Snapshot snapshot;
    ScanKey key;
    Datum query;  // of the key, unless it is NULL
    const IndexSupport *support;
    IndexFetchTableData *fetch;
    TupleTableSlot *slot;
    IndexInfo *index_info;
    ExprState *predicate;
    EState *executor;
    MemoryContext row_context;
    OffsetNumber chains[MaxOffsetNumber];
};

namespace {

HeapRowReader *open_reader(IndexScanDesc scan) {
    auto *reader = static_cast<HeapRowReader *>(palloc0(sizeof(HeapRowReader)));
    reader->heap = scan->heapRelation;
    reader->index = scan->indexRelation;
    reader->snapshot = scan->xs_snapshot;
    reader->key = &scan->orderByData[0];
    if ((reader->key->sk_flags & SK_ISNULL) == 0)
        reader->query = PointerGetDatum(PG_DETOAST_DATUM(reader->key->sk_argument));
    reader->support = index_support(reader->index);
    reader->fetch = table_index_fetch_begin(reader->heap);
    reader->slot = table_slot_create(reader->heap, nullptr);
    reader->index_info = BuildIndexInfo(reader->index);
    reader->executor = CreateExecutorState();
    GetPerTupleExprContext(reader->executor)->ecxt_scantuple = reader->slot;
    reader->predicate = ExecPrepareQual(reader->index_info->ii_Predicate, reader->executor);
    reader->row_context =
        AllocSetContextCreate(CurrentMemoryContext, "dvec row of a page", ALLOCSET_DEFAULT_SIZES);
    return reader;
}

void close_reader(HeapRowReader *reader) {
    table_index_fetch_end(reader->fetch);
    ExecDropSingleTupleTableSlot(reader->slot);
    FreeExecutorState(reader->executor);
    MemoryContextDelete(reader->row_context);
    pfree(reader);
}

// The line pointers at which chains of versions begin.
int find_chains(HeapRowReader *reader, PageBehind wanted) {
    int count = 0;
    Buffer buffer = ReadBuffer(reader->heap, wanted.page);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    const Page page = BufferGetPage(buffer);
    const OffsetNumber end = PageIsNew(page) ? 0 : PageGetMaxOffsetNumber(page);
    for (OffsetNumber offset = wanted.from; offset <= end; ++offset) {
        const ItemId item = PageGetItemId(page, offset);
        const bool begins =
            ItemIdIsRedirected(item) ||
            (ItemIdIsNormal(item) && !HeapTupleHeaderIsHeapOnly(reinterpret_cast<HeapTupleHeader>(
                                         PageGetItem(page, item))));
        if (begins)
            reader->chains[count++] = offset;
    }
    UnlockReleaseBuffer(buffer);
    return count;
}

// Whether a version of the row is visible, and has a place in the index; then its distance.
bool measure(HeapRowReader *reader, ItemPointerData tid, double *distance) {
    bool call_again = false;
    bool all_dead = false;
    if (!table_index_fetch_tuple(reader->fetch, &tid, reader->snapshot, reader->slot, &call_again,
                                 &all_dead))
        return false;
    if (reader->predicate != nullptr &&
        !ExecQual(reader->predicate, GetPerTupleExprContext(reader->executor)))
        return false;
    Datum values[INDEX_MAX_KEYS];
    bool nulls[INDEX_MAX_KEYS];
    FormIndexDatum(reader->index_info, reader->slot, reader->executor, values, nulls);
    if (nulls[0])
        return false;
    const Datum value = PointerGetDatum(PG_DETOAST_DATUM(values[0]));
    const int dimensions = TupleDescAttr(RelationGetDescr(reader->index), 0)->atttypmod;
    if (encode_row(*reader->support, dimensions, value) == nullptr)
        return false;
    const ScanKey key = reader->key;
    *distance = (key->sk_flags & SK_ISNULL) != 0
                    ? 0
                    : DatumGetFloat8(FunctionCall2Coll(&key->sk_func, key->sk_collation, value,
                                                       reader->query));
    return true;
}

bool has_expressions(const HeapRowReader &reader) {
    return reader.index_info->ii_Expressions != NIL || reader.index_info->ii_Predicate != NIL;
}

}  // namespace

void HeapRows::add(Row row) {
    if (count_ == room_) {
        constexpr uint64 least = 256;
        room_ = std::max(least, 2 * room_);
        const Size bytes = room_ * sizeof(Row);
        rows_ = static_cast<Row *>(rows_ == nullptr
                                       ? MemoryContextAllocHuge(CurrentMemoryContext, bytes)
                                       : repalloc_huge(rows_, bytes));
    }
    rows_[count_++] = row;
}

void HeapRows::read_page(HeapRowReader *reader, PageBehind page) {
    CHECK_FOR_INTERRUPTS();
    const int chains = find_chains(reader, page);
    for (int i = 0; i < chains; ++i) {
        ItemPointerData tid;
        ItemPointerSet(&tid, page.page, reader->chains[i]);
        double distance = 0;
        const MemoryContext caller = MemoryContextSwitchTo(reader->row_context);
        const bool found = measure(reader, tid, &distance);
        MemoryContextSwitchTo(caller);
        MemoryContextReset(reader->row_context);
        ResetPerTupleExprContext(reader->executor);
        if (found)
            add({distance, engine_tid(&tid)});
    }
}

void HeapRows::finish() {
    std::sort(rows_, rows_ + count_, [](const Row &a, const Row &b) {
        return graph::comes_before(a.distance, b.distance);
    });
}

HeapRows *HeapRows::read(IndexScanDesc scan, const PageBehind *pages, uint32 count) {
    auto *rows = new (palloc(sizeof(HeapRows))) HeapRows;
    rows->table_pages_ = RelationGetNumberOfBlocks(scan->heapRelation);
    rows->pages_ = pages;
    rows->page_count_ = count;
    if (count == 0)
        return rows;
    HeapRowReader *reader = open_reader(scan);
    const auto read_pages = [=] {
        for (uint32 i = 0; i < rows->page_count_; ++i)
            if (rows->pages_[i].page < rows->table_pages_)
                rows->read_page(reader, rows->pages_[i]);
    };
    if (has_expressions(*reader))
        with_owner_rights(scan->heapRelation, scan->indexRelation, read_pages);
    else
        read_pages();
    close_reader(reader);
    rows->finish();
    return rows;
}

HeapRows *HeapRows::read_all(IndexScanDesc scan) {
    const BlockNumber count = RelationGetNumberOfBlocks(scan->heapRelation);
    auto *pages = static_cast<PageBehind *>(
        MemoryContextAllocHuge(CurrentMemoryContext, sizeof(PageBehind) * (Size{count} + 1)));
    for (BlockNumber page = 0; page < count; ++page)
        pages[page] = {page, FirstOffsetNumber};
    return read(scan, pages, count);
}

bool HeapRows::covers(graph::Tid tid) const noexcept {
    if (tid.block >= table_pages_)
        return true;
    const PageBehind *end = pages_ + page_count_;
    const PageBehind *found =
        std::ranges::lower_bound(pages_, end, tid.block, {}, &PageBehind::page);
    return found != end && found->page == tid.block && tid.offset >= found->from;
}

std::optional<graph::Hit> HeapRows::head() const noexcept {
    if (taken_ == count_)
        return std::nullopt;
    return graph::Hit{no_node, rows_[taken_].tid, rows_[taken_].distance};
}

}  // namespace dvec::postgres
