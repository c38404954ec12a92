// How a server process opens an index. The first process after a server start recovers it from its
// log; the others wait for that and then map the files. Where the log does not suffice the table is
// read (repair_state.hpp says by which process). An index stays open in the process until it is
// dropped, repaired or opened anew by another process.
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
    Life life{};
    int pins = 0;          // by scans in progress
    uint64 last_used = 0;  // a count of uses in this process
    std::unique_ptr<EntryLocks> locks;
    std::unique_ptr<store::Index> index;
    // The rows that a repair has added, by TID. Filled by the first insert that needs it (see
    // IndexEntry::rebuilt_before_xid).
    std::unique_ptr<store::TidMap> rebuilt_rows;
};

// Opens the index stored in `file`. Waits, interruptibly, while others open or repair it or no
// entry of the registry can be freed for it, and repairs it itself where must_repair_here says so.
// Raises on failure. To be called where no C++ object with a destructor is alive.
OpenIndex *open_index(const IndexFile &file, IndexSource &source);

// The same on a standby, for a search: null where the index is not ready, which nobody waits for
// there, or cannot be opened (a WARNING). There nobody but the search sees a file number in its
// next life; on other servers that is seen when a session first opens the index.
OpenIndex *open_followed_index(const IndexFile &file, const Life &life);

// Whether a query should use an index in this state: it is ready, or is repaired by nobody but this
// session (temporary), when it is used.
bool is_worth_planning(const IndexFile &file, IndexState state) noexcept;

// Whether nobody has opened the index since the server started, and the planner may do so now (see
// put_off_opening).
bool wants_opening(const IndexFile &file) noexcept;

// To be called when opening failed. For a minute, queries are planned without another attempt.
// Statements that cannot do without the index still try.
void put_off_opening(const IndexFile &file) noexcept;

// is_worth_planning for what is known of the index now; false when it was not opened yet.
bool may_be_planned(const IndexFile &file) noexcept;

// The same, but opens the index first if nobody has yet. Does not wait for other processes, and
// does not repair. Raises an error when opening fails.
bool open_without_waiting(const IndexFile &file, IndexSource &source);

// The index as this process has it open and ready to use; null when it has not.
OpenIndex *find_open_index(const IndexFile &file) noexcept;

void pin(OpenIndex *index) noexcept;
void unpin(OpenIndex *index) noexcept;

// Makes the worker stay until this process has ended. Called by every process that may write to an
// index.
void count_as_user();

}  // namespace dvec::postgres
