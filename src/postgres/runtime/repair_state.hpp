// Which index needs a repair, and who does it. All changes between the states ready, needs_repair
// and repairing are made here, under Registry::lock, so that never two processes repair one index:
//
//     ready ──request_repair──▶ needs_repair ◀──fail_repair── repairing ──end_repair──▶ ready
//                                     └──────────begin_repair──────▲
//
// The dvec worker has a background worker started for each repair (repair/launcher.hpp), so that
// only sessions which need that index have to wait. Such a session repairs the index itself only if
// no other process will: see must_repair_here.
#pragma once

#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

// Notes what has to be repaired, with no attempts so far. Under Registry::lock, by the process that
// is about to change the state to needs_repair.
void note_needed_repair(IndexEntry *entry, Repair kind, const char *reason) noexcept;

// Called when an index that was ready turns out to need a repair. From now on processes no longer
// use it as they have it open (in_use), and the planner avoids it. Does nothing if the entry has
// another incarnation or is being repaired, since the problem is then in files that were or are
// being repaired anyway. `reason` completes a log message and is copied.
void request_repair(IndexEntry *entry, uint64 incarnation, Repair kind,
                    const char *reason) noexcept;

// For who finds an entry that was opened in a former life of the index's file number: what is in
// its files is another index's. Does nothing when it is not in use (any more).
void end_former_life(IndexEntry *entry, uint64 incarnation) noexcept;
// Called after a failed sync. The kernel discards pages that it could not write, so another sync
// would only hide the loss. The files are not used any more, and the index is rebuilt from the
// table. Does nothing if the entry has another incarnation, and so other files, already.
void give_up(IndexEntry *entry, uint64 incarnation) noexcept;

// Whether the entry, which the caller has found in needs_repair, is to be repaired by the process
// that needs it: its files are reachable by this session only (temporary), there is no worker, an
// attempt in the background failed, or none began for a while. Under Registry::lock.
bool must_repair_here(const IndexEntry &entry) noexcept;
// How long must_repair_here returns false while no attempt begins or fails, in milliseconds.
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

// While repairing: the repair that was begun does not suffice, and a more thorough one is needed.
void escalate_repair(IndexEntry *entry, Repair kind, const char *reason) noexcept;

// While repairing, before the entry's life is set: what is in the files of a former one is of no
// use.
void rebuild_after_former_life(IndexEntry *entry, const Life &life) noexcept;

// Makes sure that the index is rebuilt when it is next opened, even after a restart.
void remove_checkpoint(const IndexEntry *entry) noexcept;

// repairing -> needs_repair.
void fail_repair(IndexEntry *entry) noexcept;

// What has become of an index whose repair has failed.
enum class Unrepaired : unsigned char {
    left,      // writers need not wait for it: the index will be rebuilt after a while
    changing,  // another process is repairing it, or has done so
    closed,    // it cannot even be opened
};

// For a process that cannot tell the index of rows it has added to the table, or of dead rows,
// since the repair that the index needs fails in the index's own expressions. The index will be
// rebuilt from the table, which has these changes already, so they need not be told.
Unrepaired leave_to_rebuild(const IndexFile &file) noexcept;
// Whether this was found for the index not long ago.
bool is_left_to_rebuild(const IndexFile &file) noexcept;

// Counts an attempt that could not even begin, so that waiting sessions do the repair themselves.
void count_failed_attempt(IndexEntry *entry, uint64 incarnation) noexcept;

}  // namespace dvec::postgres
