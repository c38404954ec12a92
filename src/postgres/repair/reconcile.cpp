// The pages to be read are found in runs, and each run is scanned by the server's own
// table_index_build_range_scan, as BRIN does: it knows HOT chains, expressions and predicates, and
// gives rows of transactions in progress too.
//
// The changed pages are named by PostgreSQL's WAL where that is still there; else each page's LSN
// is read.
//
// A page that changes after it was looked at, or after WAL was read, is no matter: a row that comes
// then belongs to a transaction that inserts it into the index itself when the repair is over.
#include "postgres/repair/reconcile.hpp"

#include <algorithm>

#include "engine/store/reconciler.hpp"
#include "postgres/bridge/cleanup.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/relation/item_pointer.hpp"
#include "postgres/relation/row_reader.hpp"
#include "postgres/repair/changed_pages.hpp"
#include "postgres/runtime/wal.hpp"

namespace dvec::postgres {

namespace {

// Limits how much is flushed and removed at a time.
constexpr BlockNumber longest_run = 1024;

// The engine's objects, allocated and deleted together, since an ERROR does not run destructors.
struct Engine {
    explicit Engine(IndexEntry *entry) : locks(*entry) {}

    EntryLocks locks;
    std::unique_ptr<store::Index> index;
    std::unique_ptr<store::Reconciler> reconciler;
};

struct Reconciliation {
    IndexEntry *entry;
    Engine *engine;  // owned; freed by stop
    Relation heap;
    Relation index;
    IndexInfo *index_info;
    RowReader reader;
    RepairProgress *progress;
    // Pages with a lower LSN have nothing new; 0 when all are to be read.
    XLogRecPtr changed_since;
    const PageSet *changed;  // null when each page has to be looked at
    BlockNumber pages_read;
};

void stop(int, Datum argument) {
    auto *work = reinterpret_cast<Reconciliation *>(DatumGetPointer(argument));
    delete work->engine;
    work->engine = nullptr;
}

// Notes in the checkpoint that the index needs a repair, so that it is repeated after a crash:
// damaged entries are removed before their rows are added again. If opening has found the need for
// the repair, this has been done already.
base::Status announce_repair(store::Index &index, Repair kind) {
    DVEC_TRY(index.ready_to_write());
    DVEC_TRY(index.sync_log());
    index.state().repair.store(kind);
    ServerWalFlusher wal;
    const base::Status status = store::take_checkpoint(index, wal);
    if (!status.ok())
        index.state().repair.store(Repair::none);
    return status;
}

// After an I/O error the files cannot be trusted, so the index has to be rebuilt.
base::Status checked(IndexEntry *entry, base::Status status) {
    if (status.code() == base::Code::io_error)
        escalate_repair(entry, Repair::rebuild, "its files could not be read or written");
    return status;
}

Engine *start_engine(IndexEntry *entry, Repair kind) {
    return value_or_raise([&]() -> base::Result<Engine *> {
        return base::guarded([&]() -> base::Result<Engine *> {
            auto engine = std::make_unique<Engine>(entry);
            auto index = open_files_of(entry, engine->locks, store::Index::open);
            DVEC_TRY(index);
            engine->index = std::move(index).value();
            if (entry->shared.repair.load() < kind)
                DVEC_TRY(checked(entry, announce_repair(*engine->index, kind)));
            auto reconciler = store::Reconciler::begin(*engine->index, kind, interruption_pending);
            DVEC_TRY(reconciler);
            engine->reconciler = std::move(reconciler).value();
            return engine.release();
        });
    });
}

// Returns 0, for all pages, where page LSNs cannot be relied on: in tables without WAL, and with
// wal_level = minimal, which may have filled pages without WAL. The rows of such pages are in the
// sidecar log, but the log may be what is damaged.
XLogRecPtr changed_since(Relation heap, const IndexEntry *entry) {
    if (entry->repair.kind != Repair::changed_pages || !RelationNeedsWAL(heap) || !XLogIsNeeded())
        return 0;
    return entry->shared.reconcile_lsn.load();
}

void take_row(Relation, ItemPointer tid, Datum *values, bool *isnull, bool, void *state) {
    auto *work = static_cast<Reconciliation *>(state);
    work->reader.read(values, isnull, [=](const RowEncoder::Row &row) {
        ok_or_raise([&] {
            return checked(work->entry, work->engine->reconciler->row(engine_tid(tid), end_of_wal(),
                                                                      {row.bytes, row.keys}));
        });
    });
}

bool is_changed(const Reconciliation &work, BlockNumber block, BufferAccessStrategy strategy) {
    if (work.changed_since == 0)
        return true;
    if (work.changed != nullptr)
        return work.changed->has(block);
    return has_lsn_since(work.heap, block, work.changed_since, strategy);
}

void read_run(Reconciliation *work, BlockNumber first, BlockNumber end) {
    (void)table_index_build_range_scan(work->heap, work->index, work->index_info, false, true,
                                       false, first, end - first, take_row, work, nullptr);
    // A row is missing from the heap because its deletion committed or its insert never did. The
    // WAL of that must be durable before the entry is removed, or a crash could bring the row back.
    flush_wal();
    ok_or_raise([&] {
        return checked(work->entry, work->engine->reconciler->finish_blocks(first, end, 0));
    });
    work->pages_read += end - first;
}

void read_pages(Reconciliation *work, BlockNumber pages) {
    BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
    BlockNumber run = 0;  // the first page of the present run; it ends where the loop stands
    for (BlockNumber block = 0; block < pages; ++block) {
        CHECK_FOR_INTERRUPTS();
        const bool changed = is_changed(*work, block, strategy);
        if (run < block && (!changed || block - run >= longest_run)) {
            read_run(work, run, block);
            run = block;
        }
        if (!changed)
            run = block + 1;
        work->progress->pages_done.store(block, std::memory_order_relaxed);
    }
    if (run < pages)
        read_run(work, run, pages);
    work->progress->pages_done.store(pages);
    FreeAccessStrategy(strategy);
}

RepairResult run(Reconciliation *work) {
    // Taken before any page is read: all changes below this LSN are in the index when the repair is
    // complete.
    const XLogRecPtr reconcile_lsn = end_of_wal();
    const BlockNumber pages = RelationGetNumberOfBlocks(work->heap);
    work->progress->pages.store(pages);
    if (work->changed_since != 0)
        work->changed = pages_changed_in_wal(work->heap, work->changed_since, pages);
    read_pages(work, pages);
    flush_wal();
    ok_or_raise([&] {
        ServerWalFlusher wal;
        return checked(work->entry, work->engine->reconciler->complete(pages, wal, reconcile_lsn));
    });
    const store::Reconciler::Report &report = work->engine->reconciler->report();
    return {work->pages_read, pages, static_cast<int64>(report.added),
            static_cast<int64>(report.removed)};
}

}  // namespace

RepairResult reconcile_with_heap(Relation heap, Relation index, IndexInfo *index_info,
                                 IndexEntry *entry) {
    Reconciliation work{};
    work.entry = entry;
    work.heap = heap;
    work.index = index;
    work.index_info = index_info;
    work.reader = row_reader(index, entry->shape);
    work.progress = &entry->repair.progress;
    work.changed_since = changed_since(heap, entry);

    RepairResult result{};
    with_error_cleanup(stop, PointerGetDatum(&work), [&] {
        work.engine = start_engine(entry, entry->repair.kind);
        result = run(&work);
    });
    stop(0, PointerGetDatum(&work));
    MemoryContextDelete(work.reader.row_context);
    return result;
}

}  // namespace dvec::postgres
