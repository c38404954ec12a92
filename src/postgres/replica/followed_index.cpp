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
#include "postgres/repair/wal_reader.hpp"
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

// What its checkpoints say from now on: whatever ends the server, nobody takes the index for
// complete.
Repair left_to_do(const IndexEntry &entry) {
    // No server starts before its tables are as of S. Should it be otherwise, nothing is known.
    const bool known = entry.shared.reconcile_lsn.load() <= replay_position();
    return entry.repair.kind == Repair::changed_pages && known ? Repair::changed_pages
                                                               : Repair::every_page;
}

// Whether WAL from `since` on tells all that the index has missed, and is not so long that the
// table had better be looked at.
bool is_told_by_wal(Relation heap, XLogRecPtr since) {
    const XLogRecPtr replayed = replay_position();
    const uint64 table_bytes = uint64{RelationGetNumberOfBlocks(heap)} * BLCKSZ;
    return since != 0 && since <= replayed &&
           replayed - since < std::max(table_bytes, most_unread_wal) && wal_is_there(since);
}

struct Prepared {
    IndexFile heap;  // the table's file
    Repair left;
    bool goes_on;  // with the index as of S
};

// In a transaction.
void prepare(IndexEntry *entry, Prepared *prepared) {
    const char *reason = nullptr;
    Relation index = lock_index(entry->file, &reason);
    if (index == nullptr)
        refuse(reason);
    Relation heap = table_open(index->rd_index->indrelid, NoLock);
    check_heap(heap);
    prepared->heap = compat::file_name(heap);
    ereport(LOG, (errmsg("dvec: following index \"%s\"", RelationGetRelationName(index))));
    make_others_let_go(entry);
    RelationSource source(index);
    rebuild_after_former_life(entry, source.life());
    set_shape(entry, source.shape(), source.life());
    if (entry->repair.kind == Repair::rebuild)
        make_empty(entry, index);
    prepared->left = left_to_do(*entry);
    entry->shared.repair.store(prepared->left);
    if (prepared->left != Repair::changed_pages)
        entry->shared.reconcile_lsn.store(0);
    prepared->goes_on = is_told_by_wal(heap, entry->shared.reconcile_lsn.load());
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

// Where C++ objects are alive.
void throw_unless_ok(const base::Status &status) {
    if (!status.ok())
        throw pending_error(status);
}

// The process ends in the middle of it.
void abandon_adoption(int, Datum entry) {
    fail_repair(static_cast<IndexEntry *>(static_cast<void *>(DatumGetPointer(entry))));
}

// No page need be read but those that WAL from S on names, as where another follower has ended.
void go_on(const FollowedIndex &followed) {
    complete_following(followed.in_registry());
    ereport(LOG, (errmsg("dvec: index %u/%u/%u is followed from %X/%X on", followed.file.tablespace,
                         followed.file.database, followed.file.number,
                         static_cast<uint32>(followed.read_to >> 32),
                         static_cast<uint32>(followed.read_to))));
    announce(followed);
}

}  // namespace

FollowedIndex *adopt(IndexEntry *entry, uint64 incarnation) {
    if (!begin_repair(entry, incarnation))
        return nullptr;
    Prepared prepared{};
    FollowedIndex *followed = nullptr;
    with_error_cleanup(abandon_adoption, PointerGetDatum(entry), [&] {
        if (in_transaction([entry, &prepared] { prepare(entry, &prepared); }))
            followed = open_followed(entry, prepared.left);
    });
    if (followed == nullptr) {
        fail_repair(entry);
        return nullptr;
    }
    followed->heap = prepared.heap;
    followed->changed_since = entry->shared.reconcile_lsn.load();
    followed->complete = prepared.goes_on;
    followed->read_to = prepared.goes_on ? followed->changed_since : replay_position();
    begin_following(entry, {prepared.heap, followed->read_to, followed->changed_since});
    if (prepared.goes_on)
        go_on(*followed);
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
