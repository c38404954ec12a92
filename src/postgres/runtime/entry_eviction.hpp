// Room in the registry. It has a fixed number of entries, and a server may have any number of
// indexes; so whoever wants to open one when all entries are taken lets go of one that rests: its
// files are brought into the state of a clean shutdown and its entry is given to the other. Whoever
// uses it next opens it as after a start of the server.
#pragma once

#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

// Frees an entry. False when none can be freed at the moment, since all are being opened, repaired
// or worked on by the worker, or the caller was cancelled. Takes a checkpoint where the index was
// written to. To be called without locks; neither raises nor throws.
bool free_resting_entry() noexcept;

// Of the worker, now and then: keeps some entries free, so that sessions need not wait for the
// checkpoints of others.
void keep_entries_free() noexcept;

}  // namespace dvec::postgres
