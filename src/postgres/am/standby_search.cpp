// The order of the steps matters.
//
// The snapshot comes first: what it sees was replayed when it was taken, so WAL up to the present
// end of replay names every page that holds a row of it which the index may not have, and from
// which line pointer on. Then the pages behind are copied, and only then the search begins: a page
// that is not behind any more at that time has its entries in the index already, and the search
// sees those.
//
// What happens later does not matter. A row that is put on a page after that is not visible to the
// snapshot, whatever line pointer it takes. An entry that is removed belongs to a row that no
// snapshot of this server can see, or, being vacuumed away, to one that this scan would be
// cancelled for; until it is removed it leads to a line pointer without a row. The table cannot be
// cut short while the scan has it locked.
#include "postgres/am/standby_search.hpp"

#include <algorithm>

#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/relation/life.hpp"
#include "postgres/repair/wal_changes.hpp"
#include "postgres/runtime/following.hpp"
#include "postgres/runtime/wal.hpp"

namespace dvec::postgres {

namespace {

// The pages that a search has to read in the table, as far as they are few enough.
struct PagesToRead {
    IndexFile heap;
    PageBehind *pages;  // with room for most_pages_behind(); one may come several times
    uint32 count;
    bool too_many;
};

// Leaves of each page the lowest line pointer.
void make_unique(PagesToRead *wanted) {
    PageBehind *end = wanted->pages + wanted->count;
    std::sort(wanted->pages, end);
    end = std::unique(wanted->pages, end,
                      [](const PageBehind &a, const PageBehind &b) { return a.page == b.page; });
    wanted->count = static_cast<uint32>(end - wanted->pages);
}

// Kept by the session.
PageBehind *room_for_pages() {
    static PageBehind *room = nullptr;
    if (room == nullptr)
        room = static_cast<PageBehind *>(
            MemoryContextAlloc(TopMemoryContext, sizeof(PageBehind) * most_pages_behind()));
    return room;
}

void note_page(PagesToRead *wanted, PageBehind page) {
    PageBehind *last = wanted->count > 0 ? &wanted->pages[wanted->count - 1] : nullptr;
    if (last != nullptr && last->page == page.page) {
        last->from = std::min(last->from, page.from);
        return;
    }
    if (wanted->count == most_pages_behind())
        make_unique(wanted);
    // A set that is nearly full is not worth to be sorted for each page.
    wanted->too_many =
        wanted->too_many || wanted->count > most_pages_behind() - most_pages_behind() / 4;
    if (!wanted->too_many)
        wanted->pages[wanted->count++] = page;
}

void note_change(const RowChange &change, void *argument) {
    auto *wanted = static_cast<PagesToRead *>(argument);
    if (change.kind == RowChange::Kind::come && change.file == wanted->heap)
        note_page(wanted, {change.page, change.from});
}

// The pages that the index does not have as they are now. False when they are not known, or so many
// that the table is better read as a whole.
bool find_pages(IndexScanDesc scan, const OpenIndex &open, PagesToRead *wanted) {
    const XLogRecPtr replayed = replay_position();
    wanted->heap = compat::file_name(scan->heapRelation);
    wanted->pages = room_for_pages();
    const PagesBehind behind = pages_behind(*open.entry, open.incarnation, wanted->pages);
    if (!behind.complete || !(behind.heap == wanted->heap) ||
        replayed > behind.read_to + most_unread_wal)
        return false;
    wanted->count = behind.count;
    if (behind.read_to < replayed &&
        XLogRecPtrIsInvalid(read_changes(behind.read_to, replayed, note_change, wanted)))
        return false;
    if (wanted->too_many)
        return false;
    make_unique(wanted);
    const Size bytes = sizeof(PageBehind) * wanted->count;
    wanted->pages = static_cast<PageBehind *>(std::memcpy(palloc(bytes), wanted->pages, bytes));
    return true;
}

}  // namespace

SearchPlace find_on_standby(IndexScanDesc scan) {
    const IndexFile file = compat::file_name(scan->indexRelation);
    for (;;) {
        const OpenIndex *open = open_followed_index(file, life_of(scan->indexRelation));
        PagesToRead wanted{};
        if (open == nullptr || most_pages_behind() == 0 || !find_pages(scan, *open, &wanted))
            return {nullptr, HeapRows::read_all(scan)};
        const uint64 incarnation = open->incarnation;
        HeapRows *rows = HeapRows::read(scan, wanted.pages, wanted.count);
        // What the rows were computed with may have opened others.
        OpenIndex *now = find_open_index(file);
        if (now != nullptr && now->incarnation == incarnation)
            return {now, rows};
        CHECK_FOR_INTERRUPTS();
    }
}

}  // namespace dvec::postgres
