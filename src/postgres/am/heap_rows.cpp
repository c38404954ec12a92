#include "postgres/am/heap_rows.hpp"

#include <algorithm>

#include "postgres/am/heap_row_reader.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/relation/item_pointer.hpp"
#include "postgres/relation/owner_rights.hpp"

namespace dvec::postgres {

namespace {

// The line pointers at which chains of versions begin.
int find_chains(Relation heap, PageBehind wanted, OffsetNumber *chains) {
    int count = 0;
    Buffer buffer = ReadBuffer(heap, wanted.page);
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
            chains[count++] = offset;
    }
    UnlockReleaseBuffer(buffer);
    return count;
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
    OffsetNumber chains[MaxOffsetNumber];
    const int count = find_chains(reader->heap(), page, chains);
    for (int i = 0; i < count; ++i) {
        ItemPointerData tid;
        ItemPointerSet(&tid, page.page, chains[i]);
        double distance = 0;
        if (reader->measure_in_order(tid, &distance))
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
    HeapRowReader *reader = HeapRowReader::open(scan);
    const auto read_pages = [=] {
        for (uint32 i = 0; i < rows->page_count_; ++i)
            if (rows->pages_[i].page < rows->table_pages_)
                rows->read_page(reader, rows->pages_[i]);
    };
    if (reader->has_expressions())
        with_owner_rights(scan->heapRelation, scan->indexRelation, read_pages);
    else
        read_pages();
    reader->unpin();
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
