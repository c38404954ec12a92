// Which index needs a repair, and who does it. All changes between the states ready, needs_repair
// and repairing are made here, under Registry::lock, so that never two processes repair one index:
//
//     ready ──request_repair──▶ needs_repair ◀──fail_repair── repairing ──end_repair──▶ ready
//                                     └──────────begin_repair──────▲
//
// The dvec worker has a process of its own started for each (repair/launcher.hpp), so that nobody
// has to wait who does not need that very index. A session that does need it waits, and repairs it
// itself only where nobody else will: see must_repair_here.
#pragma once

#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

// Writes down what has to be repaired, with nothing tried yet. Under Registry::lock, by whoever
// moves the entry to needs_repair next.
void note_needed_repair(IndexEntry *entry, Repair kind, const char *reason) noexcept;

// An index that was ready turns out to need a repair: from now on nobody uses what is open of it
// (in_use), and the planner avoids it. Does nothing when the entry has another incarnation already,
// or is being repaired: then what was found is of files that are looked at anyway. `reason` is the
// tail of a sentence and is copied.
void request_repair(IndexEntry *entry, uint64 incarnation, Repair kind,
                    const char *reason) noexcept;

// The kernel drops what it could not write, so after a failed sync trying again would only hide the
// loss. Nobody uses these files any more; they are rebuilt from the table. Does nothing when the
// entry has got another incarnation, that is, other files, already.
void give_up(IndexEntry *entry, uint64 incarnation) noexcept;

// Whether the entry, which the caller has found in needs_repair, is to be repaired by the process
// that needs it: its files are reachable by this session only (temporary), there is no worker, an
// attempt in the background failed, or none began for a while. Under Registry::lock.
bool must_repair_here(const IndexEntry &entry) noexcept;
// Until when must_repair_here stays false unless something happens; in milliseconds.
inline constexpr long repair_patience_ms = 5000;

// needs_repair -> repairing. Returns whether the repair is now the caller's, who goes on under a
// new incarnation.
bool begin_repair(IndexEntry *entry, uint64 incarnation) noexcept;

// What a repair has read and changed.
struct RepairResult {
    int64 pages;        // of the table that were read
    int64 table_pages;  // that it has
    int64 added;        // entries
    int64 removed;
};

// repairing -> ready.
void end_repair(IndexEntry *entry, const RepairResult &result) noexcept;

// While repairing: what has been begun does not suffice.
void escalate_repair(IndexEntry *entry, Repair kind, const char *reason) noexcept;

// Has the index rebuilt by whoever opens it next, after a restart too.
void remove_checkpoint(const IndexEntry *entry) noexcept;

// repairing -> needs_repair.
void fail_repair(IndexEntry *entry) noexcept;

// What has become of an index whose repair has failed.
enum class Unrepaired : unsigned char {
    left,      // writers need not wait for it: the index is to be rebuilt, not before a while
    changing,  // others are at it, or have repaired it
    closed,    // it cannot even be opened
};

// For a process that has a row in the table, or dead rows, which the index cannot be told of since
// its repair fails by the fault of its own expressions. The index that is found to need a repair
// now will be rebuilt from what is in the table, so nothing that is there by now has to be told.
Unrepaired leave_to_rebuild(const IndexFile &file) noexcept;
// Whether somebody has found so lately.
bool is_left_to_rebuild(const IndexFile &file) noexcept;

// Counts an attempt that did not even begin, so that those who wait for it do it themselves.
void count_failed_attempt(IndexEntry *entry, uint64 incarnation) noexcept;

}  // namespace dvec::postgres
