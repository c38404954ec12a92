// A checkpoint that a session takes in the worker's place, or that is taken when an index is
// evicted from the registry. The worker takes its own through the files it has open
// (worker/index_maintenance).
#pragma once

#include "engine/store/checkpointer.hpp"
#include "postgres/runtime/open_index.hpp"

namespace dvec::postgres {

// Nothing may be linked meanwhile, so the caller holds the entry's maintenance_lock.
base::Status take_checkpoint(IndexEntry *entry, store::CheckpointKind kind) noexcept;

// Counts a checkpoint, whoever took it, for dvec_indexes.
void note_checkpoint(IndexEntry *entry, TimestampTz now, uint64 microseconds) noexcept;

// To be called after nodes were marked deleted. Syncs the log. If the log had no space for all
// marks, takes a checkpoint, which needs no space. Raises an error when that fails.
void make_removals_durable(OpenIndex *open);

}  // namespace dvec::postgres
