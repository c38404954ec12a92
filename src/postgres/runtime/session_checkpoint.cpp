// The index's files are opened for the checkpoint, since a session does not have the worker's
// Maintainer.
#include "postgres/runtime/session_checkpoint.hpp"

#include "engine/store/maintainer.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/runtime/log_sync.hpp"
#include "postgres/runtime/wal.hpp"

namespace dvec::postgres {

base::Status take_checkpoint(IndexEntry *entry, store::CheckpointKind kind) noexcept {
    return base::guarded([=]() -> base::Status {
        EntryLocks locks(*entry);
        auto maintainer = open_files_of(entry, locks, store::Maintainer::open, 1);
        DVEC_TRY(maintainer);
        ServerWalFlusher wal;
        const Stopwatch time;
        DVEC_TRY(maintainer.value()->checkpoint(wal, kind));
        note_checkpoint(entry, GetCurrentTimestamp(), time.microseconds());
        return {};
    });
}

void note_checkpoint(IndexEntry *entry, TimestampTz now, uint64 microseconds) noexcept {
    entry->checkpoints.fetch_add(1);
    entry->counters.checkpoints.add(1, microseconds);
    entry->last_checkpoint_time.store(static_cast<uint64>(now));
}

void make_removals_durable(OpenIndex *open) {
    sync_log(*open);
    if (open->entry->shared.unlogged_removals.load() == 0)
        return;
    open->entry->maintenance_lock.lock();
    PendingError error;
    // If the index is being repaired or was rebuilt meanwhile, that ends with a checkpoint too.
    if (in_use(*open->entry, open->incarnation))
        error = pending_error(take_checkpoint(open->entry, store::CheckpointKind::running));
    open->entry->maintenance_lock.unlock();
    if (error)
        raise_error(error);
}

}  // namespace dvec::postgres
