// The protocol by which one process opens an index for all processes. Those who want to use an
// index call open_index.hpp.
#pragma once

#include "postgres/runtime/index_source.hpp"

namespace dvec::postgres {

// What a process finds in the registry about an index that it wants to use.
struct FoundEntry {
    IndexEntry *entry;  // null: it has none, and none can be freed at the moment
    uint64 incarnation;
    // `closed`: it was, and is `opening` now; the caller has to open it.
    IndexState state;
    bool repair_here;  // needs_repair only: the caller has to repair it
};

enum class IfBusy : unsigned char { leave, prepare_to_sleep };

// Looks for the index, and makes an entry if it has none, evicting another index when all entries
// are taken. With prepare_to_sleep, a caller that finds the index busy is prepared to sleep on its
// condition variable, so that it misses no change of the state.
FoundEntry look_with_entry(const IndexFile &file, IfBusy if_busy);

// Opens an index that look_with_entry has given the caller (`closed`), for all. Raises on failure.
void open_now(IndexEntry *entry, IndexSource &source);

// Returns when the index is ready.
FoundEntry ready_entry(const IndexFile &file, IndexSource &source);

}  // namespace dvec::postgres
