// The process that repairs one index in the background. It gives up when the index is not visible
// yet (its transaction has not committed) or when the table is locked. It does not wait for the
// lock, because the session that holds it may be waiting for this repair; that session then repairs
// the index itself.
#include "postgres/repair/repair_process.hpp"

#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/shared_memory.hpp"
#include "postgres/bridge/transactions.hpp"
#include "postgres/repair/lock_index.hpp"
#include "postgres/repair/relation_source.hpp"

namespace dvec::postgres {

namespace {

// The entry that this process was started for, until it has begun the repair or found that there is
// nothing to do. If the process ends before that, waiting sessions are woken.
struct Task {
    IndexEntry *entry;
    uint64 incarnation;
};
Task pending;

void report_failed_attempt(int, Datum) {
    if (pending.entry != nullptr)
        count_failed_attempt(pending.entry, pending.incarnation);
}

// False when it is repaired, being repaired, or gone.
bool take_order(const OwnRepair &order, IndexFile *file) {
    Registry *table = registry();
    IndexEntry *entry = &table->entries[order.entry];
    LWLockAcquire(&table->lock, LW_SHARED);
    const bool wanted = entry->used && entry->incarnation.load() == order.order.incarnation &&
                        entry->state.load() == IndexState::needs_repair;
    *file = entry->file;
    LWLockRelease(&table->lock);
    if (wanted)
        pending = {entry, order.order.incarnation};
    return wanted;
}

void show_activity(Relation index) {
    pgstat_report_activity(
        STATE_RUNNING, psprintf("dvec: repairing index \"%s\"", RelationGetRelationName(index)));
}

void repair_locked(Relation index) {
    show_activity(index);
    RelationSource source(index);
    const Task task = pending;
    // From here on repair_index() counts a failure.
    pending = {};
    (void)source.repair(task.entry, task.incarnation);
}

void repair_one(const IndexFile &file) {
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    PushActiveSnapshot(GetTransactionSnapshot());
    const char *reason = nullptr;
    Relation index = lock_index(file, &reason);
    if (index != nullptr) {
        repair_locked(index);
        relation_close(index, NoLock);
    } else {
        ereport(LOG, (errmsg("dvec: repair of index %u/%u/%u put off: %s", file.tablespace,
                             file.database, file.number, reason)));
    }
    PopActiveSnapshot();
    CommitTransactionCommand();
    pgstat_report_activity(STATE_IDLE, nullptr);
}

// Returns whether the process is connected to the index's database now.
bool connect_and_repair(const OwnRepair &order) {
    IndexFile file;
    if (!take_order(order, &file))
        return false;
    before_shmem_exit(report_failed_attempt, Datum{0});
    BackgroundWorkerInitializeConnectionByOid(file.database, InvalidOid, BGWORKER_BYPASS_ALLOWCONN);
    repair_one(file);
    return true;
}

}  // namespace

void repair_all_in_database(const OwnRepair &first) {
    if (!connect_and_repair(first))
        return;
    for (OwnRepair next = next_repair_in(MyDatabaseId); next; next = next_repair_in(MyDatabaseId)) {
        IndexFile file;
        if (take_order(next, &file))
            repair_one(file);
    }
}

}  // namespace dvec::postgres

extern "C" {
PGDLLEXPORT void dvec_repair_main(Datum);

void dvec_repair_main(Datum number) {
    using namespace dvec::postgres;
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    guarded([=] {
        OwnRepair order{DatumGetInt32(number), {}};
        std::memcpy(&order.order, MyBgworkerEntry->bgw_extra, sizeof order.order);
        (void)connect_and_repair(order);
    });
}
}
