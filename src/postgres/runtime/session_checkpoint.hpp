// A checkpoint that a session takes in the worker's place, or that is taken when an index is
// evicted from the registry. The worker takes its own through the files it has open
// (worker/index_maintenance).
#pragma once

#include "engine/store/checkpointer.hpp"
#include "postgres/runtime/open_index.hpp"

namespace dvec::postgres {

// Nothing may be linked meanwhile, so the caller holds the entry's maintenance_lock.
base::Status take_checkpoint(IndexEntry *entry, store::CheckpointKind kind) noexcept;

// Counts a checkpoint, of whomever, where views find it.
void note_checkpoint(IndexEntry *entry, TimestampTz now) noexcept;

// After nodes were marked deleted: syncs the log, and where that had no space for all, takes a
// checkpoint, which needs none. Raises when either fails.
void make_removals_durable(OpenIndex *open);

}  // namespace dvec::postgres
