// A process that was asked for may never start (the postmaster could not fork) or may die before it
// reports anything. After a while it is taken for lost and another is asked for. If both run after
// all, only one of them gets the repair.
#include "postgres/repair/launcher.hpp"

#include <algorithm>

#include "postgres/bridge/background_process.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/runtime/repair_state.hpp"

namespace dvec::postgres {

namespace {

// A repair reads a table and links with several threads, and there are few slots for background
// workers. Further repairs are queued. A session that cannot wait does its repair itself.
constexpr int most_at_once = 2;
constexpr long lost_after_ms = 10000;
constexpr long no_repair_due_ms = 3600 * 1000L;

bool has_process(const IndexEntry &entry, TimestampTz now) {
    const RepairRecord &repair = entry.repair;
    if (repair.launched == 0)
        return false;
    return entry.state.load() == IndexState::repairing ||
           !TimestampDifferenceExceeds(repair.launched, now, lost_after_ms);
}

// Only its own session can read the files of a temporary relation.
bool wants_process(const IndexEntry &entry) {
    return entry.used && entry.state.load() == IndexState::needs_repair &&
           entry.file.backend == InvalidBackendId;
}

// The repairs to be done, as of one look at the registry.
struct Queue {
    int running = 0;
    IndexEntry *next = nullptr;  // that may be launched now, the one that has waited longest
    uint64 incarnation = 0;      // of it
    uint32 failures = 0;         // of it
    long until_next = no_repair_due_ms;
};

// Of one database, or of all.
Queue look_at_queue(Oid database = InvalidOid) noexcept {
    Queue queue;
    const TimestampTz now = GetCurrentTimestamp();
    LWLockAcquire(&registry()->lock, LW_SHARED);
    for (IndexEntry &entry : known_entries()) {
        const bool running = entry.used && has_process(entry, now);
        queue.running += running ? 1 : 0;
        if (running || !wants_process(entry) ||
            (OidIsValid(database) && entry.file.database != database))
            continue;
        if (entry.repair.retry_at > now) {
            queue.until_next = std::min(
                queue.until_next, TimestampDifferenceMilliseconds(now, entry.repair.retry_at) + 1);
        } else if (queue.next == nullptr || entry.repair.requested < queue.next->repair.requested) {
            queue.next = &entry;
            queue.incarnation = entry.incarnation.load();
            queue.failures = entry.repair.failures;
        }
    }
    LWLockRelease(&registry()->lock);
    // A repair that ends wakes the worker, but a process that was lost does not.
    if (queue.running > 0)
        queue.until_next = std::min(queue.until_next, lost_after_ms);
    if (queue.running >= most_at_once)
        queue.next = nullptr;
    return queue;
}

bool start_process(const IndexEntry *entry, uint64 incarnation) {
    BackgroundWorker process =
        background_process("dvec repair", "dvec_repair_main", BgWorkerStart_RecoveryFinished);
    process.bgw_main_arg = Int32GetDatum(static_cast<int32>(entry - registry()->entries));
    const RepairOrder order{incarnation};
    static_assert(sizeof order <= BGW_EXTRALEN);
    std::memcpy(process.bgw_extra, &order, sizeof order);
    return RegisterDynamicBackgroundWorker(&process, nullptr);
}

void note_launch(IndexEntry *entry, uint64 incarnation) {
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    if (entry->incarnation.load() == incarnation && wants_process(*entry))
        entry->repair.launched = GetCurrentTimestamp();
    LWLockRelease(&registry()->lock);
}

OwnRepair order_of(const Queue &queue) noexcept {
    return {static_cast<int32>(queue.next - registry()->entries), {queue.incarnation}};
}

// Logged once, however many indexes need a repair and however often it is tried.
void tell_once_of_no_process() {
    if (registry()->no_process_told.exchange(1) != 0)
        return;
    ereport(WARNING,
            (errmsg("dvec: no background worker is free to repair indexes"),
             errdetail("Sessions that write to one repair it first. The dvec worker repairs the "
                       "others, and links no new rows meanwhile."),
             errhint("You might need to increase max_worker_processes.")));
}

}  // namespace

long launch_repairs(OwnRepair *own) {
    Queue queue = look_at_queue();
    for (; queue.next != nullptr; queue = look_at_queue()) {
        // Noted before the process can start. Otherwise one that ends at once could be taken for
        // one that was lost.
        note_launch(queue.next, queue.incarnation);
        if (start_process(queue.next, queue.incarnation)) {
            registry()->no_process_told.store(0);
            continue;
        }
        tell_once_of_no_process();
        if (queue.failures > 0) {
            *own = order_of(queue);
            return 0;
        }
        // Waiting sessions get a chance to do the repair first, and another background worker may
        // end meanwhile.
        count_failed_attempt(queue.next, queue.incarnation);
    }
    return queue.until_next;
}

OwnRepair next_repair_in(Oid database) noexcept {
    const Queue queue = look_at_queue(database);
    if (queue.next == nullptr)
        return {};
    note_launch(queue.next, queue.incarnation);
    return order_of(queue);
}

bool repair_is_due() noexcept { return look_at_queue().next != nullptr; }

}  // namespace dvec::postgres
