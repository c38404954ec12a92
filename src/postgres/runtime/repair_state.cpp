// All waiting processes are woken at every change. When an attempt failed, one of them then does
// the repair.
#include "postgres/runtime/repair_state.hpp"

#include <algorithm>
#include <unistd.h>

#include "engine/base/file.hpp"
#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

namespace {

// After so many failures the pauses between attempts in the background do not grow any more.
constexpr uint32 most_doublings = 6;
constexpr int first_pause_ms = 5000;

constexpr const char *former_life = "its file number belonged to another index";

void note_failure(RepairRecord *repair) {
    const uint32 doublings = std::min(repair->failures, most_doublings);
    ++repair->failures;
    repair->launched = 0;
    repair->retry_at =
        TimestampTzPlusMilliseconds(GetCurrentTimestamp(), int64{first_pause_ms} << doublings);
}

void tell_all(IndexEntry *entry) {
    ConditionVariableBroadcast(&entry->state_changed);
    wake_worker();
}

}  // namespace

// A folder without a checkpoint is not used. Leaving a checkpoint that is no longer true must not
// happen, not even when memory has run out, so the path is built on the stack.
void remove_checkpoint(const IndexEntry *entry) noexcept {
    char path[MAXPGPATH];
    write_index_directory(entry->file, path);
    strlcat(path, "/checkpoint", sizeof path);
    (void)unlink(path);
}

void note_needed_repair(IndexEntry *entry, Repair kind, const char *reason) noexcept {
    RepairRecord &repair = entry->repair;
    repair.kind = kind;
    strlcpy(repair.reason, reason, sizeof repair.reason);
    repair.failures = 0;
    repair.requested = GetCurrentTimestamp();
    repair.launched = 0;
    repair.retry_at = 0;
    repair.left_until = 0;
    repair.progress.pages_done.store(0);
    repair.progress.pages.store(0);
}

void request_repair(IndexEntry *entry, uint64 incarnation, Repair kind,
                    const char *reason) noexcept {
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    const bool mine = in_use(*entry, incarnation);
    if (mine) {
        note_needed_repair(entry, kind, reason);
        entry->opening.milliseconds = 0;
        if (kind == Repair::rebuild)
            remove_checkpoint(entry);
        entry->following.on.store(0);
        entry->state.store(IndexState::needs_repair);
    }
    LWLockRelease(&registry()->lock);
    if (mine)
        tell_all(entry);
}

void end_former_life(IndexEntry *entry, uint64 incarnation) noexcept {
    request_repair(entry, incarnation, Repair::rebuild, former_life);
}

void give_up(IndexEntry *entry, uint64 incarnation) noexcept {
    if (in_use(*entry, incarnation))
        entry->counters.failed_syncs.fetch_add(1);
    request_repair(entry, incarnation, Repair::rebuild, "its files could not be synced");
}

bool must_repair_here(const IndexEntry &entry) noexcept {
    return entry.file.backend != InvalidBackendId || !worker_runs() || entry.repair.failures > 0 ||
           TimestampDifferenceExceeds(entry.repair.requested, GetCurrentTimestamp(),
                                      repair_patience_ms);
}

bool begin_repair(IndexEntry *entry, uint64 incarnation) noexcept {
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    const bool mine = entry->used && entry->incarnation.load() == incarnation &&
                      entry->state.load() == IndexState::needs_repair;
    if (mine) {
        entry->repair.progress.pages_done.store(0);
        entry->repair.progress.pages.store(0);
        entry->state.store(IndexState::repairing);
    }
    LWLockRelease(&registry()->lock);
    return mine;
}

void end_repair(IndexEntry *entry, const RepairResult &result) noexcept {
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    RepairRecord &repair = entry->repair;
    repair.kind = Repair::none;
    repair.failures = 0;
    repair.launched = 0;
    repair.left_until = 0;
    ++repair.repaired;
    repair.added = result.added;
    repair.removed = result.removed;
    entry->state.store(IndexState::ready);
    LWLockRelease(&registry()->lock);
    tell_all(entry);
}

void escalate_repair(IndexEntry *entry, Repair kind, const char *reason) noexcept {
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    entry->repair.kind = kind;
    strlcpy(entry->repair.reason, reason, sizeof entry->repair.reason);
    if (kind == Repair::rebuild)
        remove_checkpoint(entry);
    LWLockRelease(&registry()->lock);
}

void rebuild_after_former_life(IndexEntry *entry, const Life &life) noexcept {
    const Life former = life_of(*entry);
    if (!(former == Life{}) && !(former == life))
        escalate_repair(entry, Repair::rebuild, former_life);
}

void fail_repair(IndexEntry *entry) noexcept {
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    note_failure(&entry->repair);
    entry->state.store(IndexState::needs_repair);
    LWLockRelease(&registry()->lock);
    tell_all(entry);
}

Unrepaired leave_to_rebuild(const IndexFile &file) noexcept {
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    IndexEntry *entry = find_entry(file);
    const IndexState state = entry == nullptr ? IndexState::closed : entry->state.load();
    if (state == IndexState::needs_repair) {
        RepairRecord &repair = entry->repair;
        repair.kind = Repair::rebuild;
        repair.left_until = std::max(
            repair.retry_at, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), first_pause_ms));
        remove_checkpoint(entry);
    }
    LWLockRelease(&registry()->lock);
    if (state == IndexState::closed)
        return Unrepaired::closed;
    if (state != IndexState::needs_repair)
        return Unrepaired::changing;
    // A power loss must not bring back a checkpoint from before what is being written now.
    (void)base::guarded(
        [&] { return base::posix_file_system().sync_directory(index_directory(file)); });
    return Unrepaired::left;
}

bool is_left_to_rebuild(const IndexFile &file) noexcept {
    LWLockAcquire(&registry()->lock, LW_SHARED);
    const IndexEntry *entry = find_entry(file);
    const bool left = entry != nullptr && entry->state.load() == IndexState::needs_repair &&
                      entry->repair.left_until > GetCurrentTimestamp();
    LWLockRelease(&registry()->lock);
    return left;
}

void count_failed_attempt(IndexEntry *entry, uint64 incarnation) noexcept {
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    const bool concerned = entry->used && entry->incarnation.load() == incarnation &&
                           entry->state.load() == IndexState::needs_repair;
    if (concerned)
        note_failure(&entry->repair);
    LWLockRelease(&registry()->lock);
    if (concerned)
        tell_all(entry);
}

}  // namespace dvec::postgres
