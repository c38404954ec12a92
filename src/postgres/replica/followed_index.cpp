// Opening and preparing. What the follower writes is in an index that is known to be behind: its
// checkpoints say so (SharedState::repair), until a promotion has its last pages read.
#include "postgres/replica/followed_index.hpp"

#include <algorithm>

#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/relation/build_sidecar.hpp"
#include "postgres/repair/lock_index.hpp"
#include "postgres/repair/relation_source.hpp"
#include "postgres/replica/transaction.hpp"
#include "postgres/runtime/entry_recovery.hpp"
#include "postgres/runtime/repair_state.hpp"
#include "postgres/runtime/session_checkpoint.hpp"
#include "postgres/runtime/wal.hpp"

namespace dvec::postgres {

namespace {

// Sessions are told how it stands by the same error that stops the follower.
void refuse(const char *reason) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("dvec: an index cannot be followed now: %s", reason)));
}

void check_heap(Relation heap) {
    if (heap->rd_rel->relam != HEAP_TABLE_AM_OID)
        refuse("its table is not of access method heap");
    if (heap->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
        refuse("its table has no WAL");
}

// The worker may have been in the middle of something when the entry ceased to be ready.
void make_others_let_go(IndexEntry *entry) {
    { const Holding maintenance(entry->maintenance_lock); }
    end_incarnation(entry);
}

void make_empty(IndexEntry *entry, Relation index) {
    make_empty_sidecar(index, entry->shape);
    reset_shared_state(entry);
    const StartSummary summary = recover_files(entry);
    if (summary.start != store::Start::clean)
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("new index files cannot be opened"),
                        errdetail_internal("%s", summary.reason)));
}

// In a transaction. Gives the table's file.
void prepare(IndexEntry *entry, IndexFile *heap_file) {
    const char *reason = nullptr;
    Relation index = lock_index(entry->file, &reason);
    if (index == nullptr)
        refuse(reason);
    Relation heap = table_open(index->rd_index->indrelid, NoLock);
    check_heap(heap);
    *heap_file = compat::file_name(heap);
    ereport(LOG, (errmsg("dvec: following index \"%s\"", RelationGetRelationName(index))));
    make_others_let_go(entry);
    RelationSource source(index);
    rebuild_after_former_life(entry, source.life());
    set_shape(entry, source.shape(), source.life());
    if (entry->repair.kind == Repair::rebuild)
        make_empty(entry, index);
    // Whatever ends the server from now on, nobody takes the index for complete.
    const Repair left =
        entry->repair.kind == Repair::changed_pages ? Repair::changed_pages : Repair::every_page;
    entry->shared.repair.store(left);
    if (left != Repair::changed_pages)
        entry->shared.reconcile_lsn.store(0);
    ok_or_raise([=] {
        return base::guarded([=]() -> base::Status {
            const Holding maintenance(entry->maintenance_lock);
            return take_checkpoint(entry, store::CheckpointKind::running);
        });
    });
    table_close(heap, NoLock);
    relation_close(index, NoLock);
}

base::Status open_files(FollowedIndex *followed, IndexEntry *entry, Repair kind) {
    followed->reconciler.reset();
    followed->open.index.reset();
    followed->open.entry = entry;
    followed->open.incarnation = entry->incarnation.load();
    followed->open.life = life_of(*entry);
    followed->open.locks = std::make_unique<EntryLocks>(*entry);
    auto index = store::Index::open(base::posix_file_system(), describe(*entry), entry->shared,
                                    followed->open.locks->engine());
    DVEC_TRY(index);
    followed->open.index = std::move(index).value();
    auto reconciler =
        store::BlockReconciler::begin(*followed->open.index, kind, interruption_pending);
    DVEC_TRY(reconciler);
    followed->reconciler = std::move(reconciler).value();
    return {};
}

// Null after a failure, which is reported.
FollowedIndex *open_followed(IndexEntry *entry, Repair kind) {
    FollowedIndex *opened = nullptr;
    const PendingError error = pending_error(base::guarded([&]() -> base::Status {
        auto followed = std::make_unique<FollowedIndex>();
        followed->file = entry->file;
        DVEC_TRY(open_files(followed.get(), entry, kind));
        opened = followed.release();
        return {};
    }));
    report(WARNING, error);
    return opened;
}

}  // namespace

namespace {

// Where C++ objects are alive.
void throw_unless_ok(const base::Status &status) {
    if (!status.ok())
        throw pending_error(status);
}

// The process ends in the middle of it.
void abandon_adoption(int, Datum entry) {
    fail_repair(static_cast<IndexEntry *>(static_cast<void *>(DatumGetPointer(entry))));
}

}  // namespace

FollowedIndex *adopt(IndexEntry *entry, uint64 incarnation) {
    if (!begin_repair(entry, incarnation))
        return nullptr;
    IndexFile heap{};
    FollowedIndex *followed = nullptr;
    with_error_cleanup(abandon_adoption, PointerGetDatum(entry), [&] {
        if (in_transaction([entry, &heap] { prepare(entry, &heap); }))
            followed = open_followed(entry, entry->repair.kind);
    });
    if (followed == nullptr) {
        fail_repair(entry);
        return nullptr;
    }
    followed->heap = heap;
    followed->changed_since = entry->shared.reconcile_lsn.load();
    followed->read_to = replay_position();
    begin_following(entry, {heap, followed->read_to, followed->changed_since});
    return followed;
}

FollowedIndex *resume(IndexEntry *entry, uint64 incarnation) {
    if (!resume_following({entry, incarnation}))
        return nullptr;
    auto followed = std::make_unique<FollowedIndex>();
    followed->file = entry->file;
    throw_unless_ok(open_files(followed.get(), entry, Repair::none));
    std::vector<PageBehind> pages(most_pages_behind());
    const PagesBehind known = pages_behind(*entry, incarnation, pages.data());
    followed->heap = known.heap;
    followed->complete = known.complete;
    followed->changed_since = known.safe;
    // What VACUUM has freed since the index had everything is read of again.
    followed->read_to = known.complete ? known.safe : known.read_to;
    for (uint32 i = 0; i < known.count; ++i)
        followed->behind[pages[i].page] = pages[i].from;
    return followed.release();
}

void reopen(FollowedIndex *followed) {
    throw_unless_ok(open_files(followed, followed->entry(), Repair::none));
}

void announce(const FollowedIndex &followed) {
    const IndexFile file = followed.file;
    (void)in_transaction([file] {
        const char *reason = nullptr;
        Relation index = lock_index(file, &reason);
        if (index == nullptr)
            return;
        RelationSource(index).announce();
        relation_close(index, NoLock);
    });
}

}  // namespace dvec::postgres
