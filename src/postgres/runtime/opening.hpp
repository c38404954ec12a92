// How one process at a time opens an index for all: open_index.hpp is for those who want to use
// one.
#pragma once

#include "postgres/runtime/index_source.hpp"

namespace dvec::postgres {

// How a process finds an index it wants to use.
struct Sight {
    IndexEntry *entry;  // null: it has none, and there is none to be had at the moment
    uint64 incarnation;
    // `closed`: it was, and is `opening` now; the caller has to open it.
    IndexState state;
    bool repair_here;  // needs_repair only: the caller has to repair it
};

enum class IfBusy : unsigned char { leave, prepare_to_sleep };

// Looks for the index and makes an entry for it where there is none; when all entries are taken,
// frees one. With prepare_to_sleep the caller is about to wait for a change of the state.
Sight look_with_entry(const IndexFile &file, IfBusy if_busy);

// Opens an index that look_with_entry has given the caller (`closed`), for all. Raises on failure.
void open_now(IndexEntry *entry, IndexSource &source);

// Returns when the index is ready.
Sight ready_entry(const IndexFile &file, IndexSource &source);

}  // namespace dvec::postgres
