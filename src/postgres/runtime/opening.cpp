// One process opens an index for all, and the others wait for it.
//
// PostgreSQL's errors leave by longjmp, so each function here either calls the server or holds C++
// objects with destructors, never both; plain structs carry results from the one kind to the other.
#include "postgres/runtime/opening.hpp"

#include <algorithm>

#include "postgres/bridge/cleanup.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/shared_memory.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/runtime/entry_eviction.hpp"
#include "postgres/runtime/entry_recovery.hpp"
#include "postgres/runtime/following.hpp"
#include "postgres/runtime/repair_state.hpp"

namespace dvec::postgres {

namespace {

FoundEntry look_for(const IndexFile &file, IfBusy if_busy) {
    Registry *table = registry();
    settle_promotion();
    LWLockAcquire(&table->lock, LW_EXCLUSIVE);
    IndexEntry *entry = find_entry(file);
    // A follower may have begun with it in the moment of the promotion.
    while (entry != nullptr && entry->following.on.load() != 0 &&
           entry->state.load() == IndexState::ready && !RecoveryInProgress()) {
        LWLockRelease(&table->lock);
        settle_promotion();
        LWLockAcquire(&table->lock, LW_EXCLUSIVE);
        entry = find_entry(file);
    }
    if (entry == nullptr)
        entry = make_entry(file);
    if (entry == nullptr) {
        LWLockRelease(&table->lock);
        return {nullptr, 0, IndexState::closed, false};
    }
    entry->used_lately.store(1, std::memory_order_relaxed);
    FoundEntry found{entry, entry->incarnation.load(), entry->state.load(), false};
    if (found.state == IndexState::closed)
        entry->state.store(IndexState::opening);
    else if (found.state == IndexState::needs_repair)
        found.repair_here = must_repair_here(*entry);
    // Before the lock is released, so that no change of state is missed.
    if (if_busy == IfBusy::prepare_to_sleep && found.state != IndexState::closed &&
        found.state != IndexState::ready)
        ConditionVariablePrepareToSleep(&entry->state_changed);
    LWLockRelease(&table->lock);
    return found;
}

}  // namespace

FoundEntry look_with_entry(const IndexFile &file, IfBusy if_busy) {
    FoundEntry found = look_for(file, if_busy);
    while (found.entry == nullptr && free_resting_entry())
        found = look_for(file, if_busy);
    return found;
}

namespace {

void abandon_opening(int, Datum entry) {
    set_state(static_cast<IndexEntry *>(static_cast<void *>(DatumGetPointer(entry))),
              IndexState::closed);
}

// Once its entry was given to another index, it is no longer known whether an index was repaired
// since the server started. It then counts as repaired when the latest of the evicted indexes was.
// Inserts that look for a repaired row without need find none: no live entry has the TID of a row
// that is just being added.
void recall_repairs(IndexEntry *entry) {
    entry->rebuilt_nodes.store(entry->shared.graph.allocated.load());
    entry->rebuilt_before_xid.store(registry()->repaired_before_xid.load());
}

// Does what is necessary until it is known whether others may use the index. Returns the state that
// the index then has.
IndexState open_for_all(IndexEntry *entry, IndexSource &source) {
    const TimestampTz begin = GetCurrentTimestamp();
    set_shape(entry, source.shape(), source.life());
    reset_shared_state(entry);

    const StartSummary summary = recover_files(entry);
    recall_repairs(entry);
    report_damage(summary);
    OpeningRecord opening{};
    opening.kind = summary.start == store::Start::clean ? OpeningRecord::Kind::clean
                                                        : OpeningRecord::Kind::replayed;
    opening.log_records = summary.records;
    opening.dropped_records = summary.dropped;
    opening.damaged_records = summary.damaged;
    opening.milliseconds = TimestampDifferenceMilliseconds(begin, GetCurrentTimestamp());
    note_opening(entry, opening);

    // On a standby it has missed what was replayed since, whatever it says, and a follower finds
    // out.
    const bool stays_behind = RecoveryInProgress();
    if (summary.repair == Repair::none && !stays_behind) {
        report_opening(entry, nullptr);
        return IndexState::ready;
    }
    const char *reason =
        summary.repair == Repair::none ? "the server is a standby" : summary.reason;
    ereport(LOG, (errmsg("dvec: index %s has to be repaired from its table", name_of(entry).text),
                  errdetail_internal("%s.", reason), errhidestmt(true), errhidecontext(true)));
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    note_needed_repair(entry, std::max(summary.repair, Repair::changed_pages), reason);
    LWLockRelease(&registry()->lock);
    return IndexState::needs_repair;
}

}  // namespace

void open_now(IndexEntry *entry, IndexSource &source) {
    IndexState state = IndexState::closed;
    with_error_cleanup(abandon_opening, PointerGetDatum(entry),
                       [&] { state = open_for_all(entry, source); });
    set_state(entry, state);
    wake_worker();
    if (state == IndexState::ready)
        source.announce();
}

namespace {

// All entries are in use at the moment, but each only for a short time.
void wait_for_an_entry() {
    constexpr long look_again_ms = 10;
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, look_again_ms,
                    wait_event(WaitFor::entry));
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

}  // namespace

FoundEntry ready_entry(const IndexFile &file, IndexSource &source) {
    // The process that would have to wake us may have died, and the limits on waiting for others
    // (repair_state.hpp) have to be checked.
    constexpr long look_again_ms = 1000;
    for (;;) {
        const FoundEntry found = look_with_entry(file, IfBusy::prepare_to_sleep);
        if (found.entry == nullptr) {
            wait_for_an_entry();
            continue;
        }
        if (found.state == IndexState::ready) {
            if (life_of(*found.entry) == source.life())
                return found;
            end_former_life(found.entry, found.incarnation);
            continue;
        }
        if (found.state == IndexState::closed) {
            open_now(found.entry, source);
        } else if (found.repair_here) {
            ConditionVariableCancelSleep();
            (void)source.repair(found.entry, found.incarnation);
        } else {
            wake_worker();
            ConditionVariableTimedSleep(&found.entry->state_changed, look_again_ms,
                                        wait_event(WaitFor::opening));
            ConditionVariableCancelSleep();
        }
    }
}

}  // namespace dvec::postgres
