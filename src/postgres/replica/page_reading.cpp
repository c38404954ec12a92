// The server's own index build scan reads each page, as in a repair (repair/reconcile): it knows
// HOT chains, expressions and predicates, and gives the rows of transactions in progress too. A row
// that no snapshot of this server can see any more it leaves out, and so does the index then.
#include <algorithm>

#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/relation/item_pointer.hpp"
#include "postgres/relation/life.hpp"
#include "postgres/relation/owner_rights.hpp"
#include "postgres/relation/row_reader.hpp"
#include "postgres/repair/changed_pages.hpp"
#include "postgres/repair/lock_index.hpp"
#include "postgres/repair/relation_source.hpp"
#include "postgres/replica/followed_index.hpp"
#include "postgres/replica/transaction.hpp"
#include "postgres/runtime/repair_state.hpp"
#include "postgres/runtime/wal.hpp"

namespace dvec::postgres {

namespace {

// Of one transaction.
constexpr BlockNumber pages_at_once = 16;
// The same of pages of which only line pointers are looked at.
constexpr BlockNumber line_pointers_at_once = 128;

struct PageReading {
    store::BlockReconciler *reconciler;
    Relation heap;
    Relation index;
    IndexInfo *index_info;
    RowReader reader;
    BlockNumber table_pages;
    XLogRecPtr changed_since;
    OffsetNumber from;  // of the page that is being read
};

void take_row(Relation, ItemPointer tid, Datum *values, bool *isnull, bool, void *state) {
    auto *work = static_cast<PageReading *>(state);
    if (ItemPointerGetOffsetNumber(tid) < work->from)
        return;
    work->reader.read(values, isnull, [=](const RowEncoder::Row &row) {
        const XLogRecPtr read_at = position_begun();
        ok_or_raise([&] {
            return work->reconciler->row(engine_tid(tid), read_at, {row.bytes, row.keys});
        });
    });
}

void begin_block(PageReading *work, PageBehind page) {
    ok_or_raise([=] {
        return base::guarded([=]() -> base::Status {
            work->reconciler->begin_block(page.page, page.from);
            return {};
        });
    });
}

void read_rows(PageReading *work, PageBehind page) {
    const bool there = page.page < work->table_pages;
    if (there && work->changed_since != 0 &&
        !has_lsn_since(work->heap, page.page, work->changed_since, nullptr))
        return;
    work->from = page.from;
    begin_block(work, page);
    if (there)
        (void)table_index_build_range_scan(work->heap, work->index, work->index_info, false, true,
                                           false, page.page, 1, take_row, work, nullptr);
    ok_or_raise([=] { return work->reconciler->finish_block(); });
}

// A line pointer that is dead has had its last row: VACUUM will free it.
void keep_used(PageReading *work, BlockNumber block) {
    Buffer buffer = ReadBuffer(work->heap, block);
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    const Page page = BufferGetPage(buffer);
    const OffsetNumber end = PageIsNew(page) ? 0 : PageGetMaxOffsetNumber(page);
    for (OffsetNumber offset = FirstOffsetNumber; offset <= end; ++offset) {
        const ItemId item = PageGetItemId(page, offset);
        if (ItemIdIsNormal(item) || ItemIdIsRedirected(item))
            work->reconciler->keep(offset);
    }
    UnlockReleaseBuffer(buffer);
}

void read_line_pointers(PageReading *work, PageBehind page) {
    begin_block(work, page);
    if (page.page < work->table_pages)
        keep_used(work, page.page);
    ok_or_raise([=] { return work->reconciler->finish_block(); });
}

// What the table had no rows for must not have any after a restart, which would find the entries
// gone and not look for those rows. Nobody believes an index that waits for its first pass.
void remove_gone(PageReading *work, const IndexEntry &entry) {
    if (!work->reconciler->any_gone())
        return;
    if (entry.shared.repair.load() == Repair::changed_pages)
        hold_position();
    ok_or_raise([=] { return work->reconciler->remove_gone(); });
}

// What is asked of a transaction, and what came of it.
struct Task {
    FollowedIndex *followed;
    void (*read)(PageReading *work, PageBehind page);
    const PageBehind *pages;
    BlockNumber count;
    XLogRecPtr changed_since;
    Reading outcome;
    BlockNumber table_pages;
    IndexFile heap;
};

void read_with(Task *task, Relation heap, Relation index) {
    if (!(life_of(index) == task->followed->open.life)) {
        end_former_life(task->followed->entry(), task->followed->open.incarnation);
        task->outcome = Reading::replaced;
        return;
    }
    task->heap = compat::file_name(heap);
    if (!(task->heap == task->followed->heap)) {
        task->outcome = Reading::moved;
        return;
    }
    PageReading work{};
    work.reconciler = task->followed->reconciler.get();
    work.heap = heap;
    work.index = index;
    work.index_info = BuildIndexInfo(index);
    work.reader = row_reader(index, task->followed->entry()->shape);
    work.table_pages = task->table_pages = RelationGetNumberOfBlocks(heap);
    work.changed_since = task->changed_since;
    with_owner_rights(heap, index, [&] {
        limit_lock_waits();
        work.reconciler->begin_batch();
        for (BlockNumber i = 0; i < task->count; ++i) {
            CHECK_FOR_INTERRUPTS();
            task->read(&work, task->pages[i]);
        }
        remove_gone(&work, *task->followed->entry());
    });
    MemoryContextDelete(work.reader.row_context);
    task->outcome = Reading::done;
}

// When the index cannot be locked, the task has failed, without a word: its table is locked, or it
// is being dropped.
void read_in_transaction(Task *task) {
    const char *reason = nullptr;
    Relation index = lock_index(task->followed->file, &reason);
    if (index == nullptr)
        return;
    Relation heap = table_open(index->rd_index->indrelid, NoLock);
    read_with(task, heap, index);
    table_close(heap, NoLock);
    relation_close(index, NoLock);
}

Reading run(Task *task) {
    FollowedIndex *followed = task->followed;
    task->outcome = Reading::failed;
    const bool committed = in_transaction([task] { read_in_transaction(task); });
    if (!followed->open.index->is_current())
        return Reading::replaced;
    if (!committed)
        return Reading::failed;
    if (task->outcome == Reading::moved)
        followed->heap = task->heap;
    if (task->outcome == Reading::done)
        followed->table_pages = task->table_pages;
    return task->outcome;
}

// In as many transactions as it takes.
Reading read_each(FollowedIndex *followed, const std::vector<PageBehind> &pages,
                  BlockNumber at_once, void (*read)(PageReading *work, PageBehind page)) {
    const auto count = static_cast<BlockNumber>(pages.size());
    for (BlockNumber done = 0; done < count; done += at_once) {
        const BlockNumber part = std::min(at_once, count - done);
        Task task{followed, read, pages.data() + done, part, 0, {}, 0, {}};
        if (const Reading outcome = run(&task); outcome != Reading::done)
            return outcome;
    }
    return Reading::done;
}

}  // namespace

Reading read_pages(FollowedIndex *followed, const std::vector<PageBehind> &pages) {
    return read_each(followed, pages, pages_at_once, read_rows);
}

Reading read_vacuumed_pages(FollowedIndex *followed, const std::vector<BlockNumber> &pages) {
    std::vector<PageBehind> whole;
    for (const BlockNumber page : pages)
        whole.push_back({page, FirstOffsetNumber});
    return read_each(followed, whole, line_pointers_at_once, read_line_pointers);
}

Reading read_next_pages(FollowedIndex *followed, bool *ended) {
    PageBehind pages[pages_at_once];
    for (BlockNumber i = 0; i < pages_at_once; ++i)
        pages[i] = {followed->next_page + i, FirstOffsetNumber};
    Task task{followed, read_rows, pages, pages_at_once, followed->changed_since, {}, 0, {}};
    const Reading outcome = run(&task);
    if (outcome != Reading::done)
        return outcome;
    followed->next_page += pages_at_once;
    *ended = followed->next_page >= followed->table_pages;
    return outcome;
}

}  // namespace dvec::postgres
