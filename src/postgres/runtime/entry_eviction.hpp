// Eviction of indexes from the registry, which has a fixed number of entries while a server may
// have any number of indexes. When all entries are taken, a process that wants to open an index
// evicts one that has not been used lately: a clean checkpoint is taken of it, as at shutdown, and
// its entry is free. Whoever uses that index next opens it as after a start of the server.
#pragma once

#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

// Frees an entry. False when none can be freed at the moment, since all are being opened, repaired
// or worked on by the worker, or the caller was cancelled. Takes a checkpoint where the index was
// written to. To be called without locks; neither raises nor throws.
bool free_resting_entry() noexcept;

// Called by the worker now and then. Keeps some entries free, so that sessions need not wait while
// another index's checkpoint is taken.
void keep_entries_free() noexcept;

}  // namespace dvec::postgres
