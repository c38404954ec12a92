// How a server process gets hold of an index: the first process after a server start recovers it
// from its log, the others wait for that and then map the files. Where the log does not suffice the
// table is read (repair_state.hpp says by whom). What was opened stays open in the process until
// the index is gone, repaired or opened anew by someone.
#pragma once

#include <memory>

#include "engine/store/index.hpp"
#include "engine/store/tid_map.hpp"
#include "postgres/runtime/index_source.hpp"

namespace dvec::postgres {

// An index as this process has it open. Lives in the process's table of open indexes; a pointer
// stays valid until the next open_index(), and longer while it is pinned.
struct OpenIndex {
    IndexEntry *entry = nullptr;
    uint64 incarnation = 0;
    int pins = 0;          // by scans in progress
    uint64 last_used = 0;  // a count of uses in this process
    std::unique_ptr<EntryLocks> locks;
    std::unique_ptr<store::Index> index;
    // What a rebuild put in, by TID; filled by the first insert that has to ask (see
    // IndexEntry::rebuilt_before_xid).
    std::unique_ptr<store::TidMap> rebuilt_rows;
};

// Opens the index stored in `file`. Waits, interruptibly, while others open or repair it or no
// entry of the registry can be freed for it, and repairs it itself where must_repair_here says so.
// Raises on failure. To be called where no C++ object with a destructor is alive.
OpenIndex *open_index(const IndexFile &file, IndexSource &source);

// Whether a query should use an index in this state: it is ready, or is repaired by nobody but this
// session (temporary), when it is used.
bool is_worth_planning(const IndexFile &file, IndexState state) noexcept;

// Whether nobody has opened the index since the server started, and it is time for the planner to
// do so.
bool wants_opening(const IndexFile &file) noexcept;

// After a failure: for a minute queries are planned without trying again. Whoever must have the
// index tries all the same.
void put_off_opening(const IndexFile &file) noexcept;

// is_worth_planning for what is known of the index now; false when it was not opened yet.
bool may_be_planned(const IndexFile &file) noexcept;

// The same, after having opened the index if nobody has yet. Neither waits for others nor repairs.
// Raises when opening fails.
bool open_without_waiting(const IndexFile &file, IndexSource &source);

// The index as this process has it open and ready to use; null when it has not.
OpenIndex *find_open_index(const IndexFile &file) noexcept;

void pin(OpenIndex *index) noexcept;
void unpin(OpenIndex *index) noexcept;

// Has the worker stay until this process is gone. Of every process that may write to an index.
void count_as_user();

}  // namespace dvec::postgres
