// The list of what a transaction has to sync is local to the process. It refers to registry entries
// by incarnation and not to open indexes, which may be closed before the transaction ends.
//
// An index cannot be dropped by others while the transaction that inserted into it is open. But it
// can be repaired from its table or rebuilt, which changes the incarnation.
#include "postgres/runtime/log_sync.hpp"

#include <algorithm>
#include <vector>

#include "engine/base/never_destroyed.hpp"
#include "engine/log/writer.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/transactions.hpp"
#include "postgres/runtime/repair_state.hpp"
#include "postgres/runtime/settings.hpp"

namespace dvec::postgres {

namespace {

// One index that the current transaction has written to.
struct Need {
    IndexEntry *entry;
    IndexFile file;
    uint64 incarnation;
    log::Position position;  // behind the transaction's last record, or later
    int level;               // the lowest of the nested transactions it wrote in
    bool always;
};

std::vector<Need> &needs() noexcept {
    static base::NeverDestroyed<std::vector<Need>> list;
    return *list;
}

// ---- One sync for all who wait ---------------------------------------------------------------

// Under the entry's sync_lock. Uses a writer of its own, since the session may have closed the
// index by now. A writer takes a few words of memory until something is appended.
PendingError sync_files(IndexEntry *entry) {
    return pending_error(base::guarded([entry]() -> base::Status {
        EngineLock lock(entry->sync_lock);
        auto writer =
            log::Writer::open(base::posix_file_system(), store::log_geometry(describe(*entry)),
                              entry->shared.log, lock);
        DVEC_TRY(writer);
        const Stopwatch time;
        pgstat_report_wait_start(wait_event(WaitFor::log_sync));
        const base::Status status = writer.value()->sync();
        pgstat_report_wait_end();
        entry->counters.syncs.add(1, time.microseconds());
        return status;
    }));
}

// Whether the entry is still this index's. Nobody else can take an index away from a transaction
// that has written to it.
bool still_of(const IndexFile &file, const IndexEntry *entry) {
    LWLockAcquire(&registry()->lock, LW_SHARED);
    const bool same = find_entry(file) == entry;
    LWLockRelease(&registry()->lock);
    return same;
}

// For an index that was opened anew or repaired since the transaction wrote to it. If it is being
// rebuilt, or was, the records are no longer needed, and a failure here does not matter. If it is
// being reconciled with its table, the log is still the same one. The reconcile syncs it at its
// end, but that may be after the commit, and not every change of a page can be recognised, so it is
// synced here.
void sync_in_other_hands(IndexEntry *entry, const IndexFile &file) {
    if (!still_of(file, entry))
        return;
    entry->sync_lock.lock();
    (void)sync_files(entry);
    entry->sync_lock.unlock();
}

// Works as XLogFlush does: while one process syncs, the others wait, and then usually find that the
// sync covered their records. A sync covers what is in the log when it begins; processes that
// arrive too late for one share the next.
void sync_up_to(const Need &need) {
    IndexEntry *entry = need.entry;
    while (entry->incarnation.load(std::memory_order_acquire) == need.incarnation) {
        if (entry->shared.log.synced.load(std::memory_order_acquire) >= need.position)
            return;
        if (!entry->sync_lock.lock_or_wait())
            continue;
        const PendingError error = sync_files(entry);
        entry->sync_lock.unlock();
        if (error && entry->incarnation.load(std::memory_order_acquire) == need.incarnation) {
            give_up(entry, need.incarnation);
            raise_error(error);
        }
        elog(DEBUG2, "dvec: synced the log of index %u/%u/%u", need.file.tablespace,
             need.file.database, need.file.number);
    }
    sync_in_other_hands(entry, need.file);
}

// ---- Callbacks of the transaction ------------------------------------------------------------

void sync_needs() {
    for (const Need &need : needs())
        if (need.always || settings::wal_sync == static_cast<int>(settings::WalSync::commit))
            sync_up_to(need);
}

void at_end_of_transaction(XactEvent event, void *) {
    if (needs().empty())
        return;
    switch (event) {
        // An ERROR here still aborts the transaction. Nothing is inserted any more: deferred
        // triggers have run.
        case XACT_EVENT_PRE_COMMIT:
        case XACT_EVENT_PARALLEL_PRE_COMMIT:
        case XACT_EVENT_PRE_PREPARE:
            guarded([] { sync_needs(); });
            break;
        case XACT_EVENT_COMMIT:
        case XACT_EVENT_PARALLEL_COMMIT:
        case XACT_EVENT_ABORT:
        case XACT_EVENT_PARALLEL_ABORT:
        case XACT_EVENT_PREPARE:
            needs().clear();
            break;
    }
}

// The rows of a subtransaction that was rolled back are dead. An index created in it is gone, and
// its entry may soon belong to another index.
void at_end_of_subtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
    const int level = GetCurrentTransactionNestLevel();
    if (event == SUBXACT_EVENT_ABORT_SUB)
        std::erase_if(needs(), [level](const Need &need) { return need.level >= level; });
    if (event == SUBXACT_EVENT_COMMIT_SUB)
        for (Need &need : needs())
            need.level = std::min(need.level, level - 1);
}

}  // namespace

void commit_sync_init() {
    RegisterXactCallback(at_end_of_transaction, nullptr);
    RegisterSubXactCallback(at_end_of_subtransaction, nullptr);
}

void sync_at_commit(const OpenIndex &open, SyncAtCommit when) {
    const log::Position position = open.entry->shared.log.head.load(std::memory_order_acquire);
    const bool always = when == SyncAtCommit::always;
    auto &list = needs();
    // Searched from the end, since a statement inserts into the same few indexes row after row.
    const auto known = std::find_if(list.rbegin(), list.rend(), [&open](const Need &need) {
        return need.entry == open.entry && need.incarnation == open.incarnation;
    });
    if (known == list.rend()) {
        list.push_back({open.entry, open.entry->file, open.incarnation, position,
                        GetCurrentTransactionNestLevel(), always});
        return;
    }
    known->position = position;
    known->always |= always;
}

void sync_log(const OpenIndex &open) {
    sync_up_to({open.entry, open.entry->file, open.incarnation,
                open.entry->shared.log.head.load(std::memory_order_acquire), 0, true});
}

}  // namespace dvec::postgres
