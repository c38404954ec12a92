// The entry is chosen by a clock sweep, as the server chooses buffers: entries that were used since
// the hand last passed them are skipped.
//
// Other processes may have the index open. Under the entry's locks it gets a new incarnation, so
// whatever they try to write from then on is refused as stale before it begins, and they open the
// index again. Searches under way go on in the files, which stay. The worker is kept out by
// maintenance_lock. So nobody writes while the clean checkpoint is taken, and it stays true until
// somebody opens the index and writes.
#include "postgres/runtime/entry_eviction.hpp"

#include <algorithm>
#include <optional>

#include "postgres/bridge/errors.hpp"
#include "postgres/runtime/entry_recovery.hpp"
#include "postgres/runtime/repair_state.hpp"
#include "postgres/runtime/session_checkpoint.hpp"

namespace dvec::postgres {

namespace {

// The worker keeps this share of the entries free, and frees as many at a time.
constexpr int free_share = 16;
constexpr int most_freed_at_once = 8;

struct Victim {
    IndexEntry *entry;
    uint64 incarnation;
};

// Whether the next opening will find out that the index needs its repair: a folder without a
// checkpoint is rebuilt.
bool repair_is_on_disk(const IndexEntry &entry) {
    return entry.repair.kind == Repair::rebuild || entry.shared.repair.load() >= entry.repair.kind;
}

bool may_go(const IndexEntry &entry) {
    // A follower would have to read the whole table to have it again.
    if (entry.following.on.load() != 0)
        return false;
    switch (entry.state.load()) {
        case IndexState::ready:
        case IndexState::closed:  // it could not be opened
            return true;
        case IndexState::needs_repair:
            return entry.repair.launched == 0 && repair_is_on_disk(entry);
        case IndexState::opening:
        case IndexState::repairing:
            break;
    }
    return false;
}

// Moves the hand to the next entry that may go. Under Registry::lock, exclusively.
std::optional<Victim> find_victim() {
    Registry *table = registry();
    for (int step = 0; step < 2 * table->capacity; ++step) {
        IndexEntry &entry = table->entries[table->hand];
        table->hand = (table->hand + 1) % table->capacity;
        if (!entry.used || !may_go(entry))
            continue;
        if (entry.used_lately.exchange(0, std::memory_order_relaxed) == 0)
            return Victim{&entry, entry.incarnation.load()};
    }
    return std::nullopt;
}

// ready -> opening. To other processes it looks as if one process were opening the index.
bool claim(const Victim &victim) {
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    const bool mine = in_use(*victim.entry, victim.incarnation);
    if (mine)
        victim.entry->state.store(IndexState::opening);
    LWLockRelease(&registry()->lock);
    return mine;
}

// If the checkpoint could not be taken, the log is replayed at the next opening, as after a crash.
// After a failed sync not even the log can be trusted.
void settle_failure(IndexEntry *entry, const base::Status &status) {
    if (status.code() == base::Code::interrupted)
        return;
    report(WARNING, pending_error(status));
    if (status.code() == base::Code::io_error)
        remove_checkpoint(entry);
}

// Frees the entry. That the index was repaired is remembered in one value for all evicted indexes,
// until the server stops. Under Registry::lock.
void forget(IndexEntry *entry) {
    std::atomic<uint64> &latest = registry()->repaired_before_xid;
    latest.store(std::max(latest.load(), entry->rebuilt_before_xid.load()));
    free_entry(entry);
}

// Under maintenance_lock.
bool let_go_of_ready(const Victim &victim) {
    if (!claim(victim))
        return false;
    const base::Status ended = base::guarded([&]() -> base::Status {
        end_incarnation(victim.entry);
        return {};
    });
    // The caller was cancelled while it waited for a writer. Nothing was changed.
    if (!ended.ok()) {
        set_state(victim.entry, IndexState::ready);
        return false;
    }
    if (victim.entry->shared.clean.load() == 0) {
        // From here on nobody writes, and the worker does not touch the index.
        const base::Status status = take_checkpoint(victim.entry, store::CheckpointKind::clean);
        if (!status.ok())
            settle_failure(victim.entry, status);
    }
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    forget(victim.entry);
    LWLockRelease(&registry()->lock);
    return true;
}

// Nobody has its files open.
bool let_go_of_unready(const Victim &victim) {
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    const IndexEntry &entry = *victim.entry;
    const bool mine = entry.used && entry.incarnation.load() == victim.incarnation &&
                      entry.state.load() != IndexState::ready && may_go(entry);
    if (mine)
        forget(victim.entry);
    LWLockRelease(&registry()->lock);
    return mine;
}

bool let_go_of(const Victim &victim) {
    if (victim.entry->state.load() != IndexState::ready)
        return let_go_of_unready(victim);
    // The worker is working on it, so it is in use.
    if (!victim.entry->maintenance_lock.try_lock())
        return false;
    const bool gone = let_go_of_ready(victim);
    victim.entry->maintenance_lock.unlock();
    return gone;
}

}  // namespace

bool free_resting_entry() noexcept {
    for (int attempt = 0; attempt < registry()->capacity; ++attempt) {
        LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
        const std::optional<Victim> victim = find_victim();
        LWLockRelease(&registry()->lock);
        if (!victim)
            return false;
        if (let_go_of(*victim))
            return true;
    }
    return false;
}

void keep_entries_free() noexcept {
    const auto entries = known_entries();
    const auto capacity = static_cast<std::size_t>(registry()->capacity);
    const std::size_t wanted = capacity / free_share;
    const auto used = static_cast<std::size_t>(std::count_if(
        entries.begin(), entries.end(), [](const IndexEntry &entry) { return entry.used; }));
    for (int freed = 0; freed < most_freed_at_once; ++freed)
        if (used - static_cast<std::size_t>(freed) + wanted <= capacity || !free_resting_entry())
            return;
}

}  // namespace dvec::postgres
