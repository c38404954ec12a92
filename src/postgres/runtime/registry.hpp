// The table of indexes in use, in the server's shared memory: what the backends and the worker
// share about each, and in which state it is. An entry is made when an index is opened. It is freed
// when the files of the index are gone, or when the index is not in use and another one needs the
// entry (entry_eviction.hpp).
//
// Locking: Registry::lock protects which entry belongs to which index and every change of state.
// Several locks are acquired in this order: folder_lock, then an entry's maintenance_lock,
// grow_lock, append_lock and sync_lock, then Registry::lock. No other lock is acquired while
// Registry::lock is held.
#pragma once

#include <atomic>
#include <span>
#include <utility>

#include "engine/base/file.hpp"
#include "engine/store/description.hpp"
#include "engine/store/repair.hpp"
#include "engine/store/shared_state.hpp"
#include "postgres/bridge/shared_memory.hpp"
#include "postgres/runtime/index_counters.hpp"
#include "postgres/runtime/shared_lock.hpp"
#include "postgres/runtime/wait_events.hpp"

namespace dvec::postgres {

// Where all sidecars are, relative to the data directory, in which every server process stays.
inline constexpr const char *sidecar_root = "dvec";

// The index's storage, as PostgreSQL names it.
using IndexFile = compat::FileName;

enum class IndexState : uint32 {
    closed,   // not opened since the server started: the next user opens it
    opening,  // one process reads checkpoint and log; the others wait
    ready,
    needs_repair,  // the table has to tell what is in the index (see repair_state.hpp)
    repairing      // one process reads the table; the others wait
};

// The time from the creation of a relation's file to its removal; after that another index may get
// its file number. Two lives differ by identity when an index was made under the number, and by the
// file when a copy of a database has brought it: a database that moves to another tablespace and
// back, or is made with the OID of one that was dropped.
struct Life {
    uint64 identity;
    uint64 device;
    uint64 inode;
    uint64 born;

    bool operator==(const Life &) const = default;
};

using Repair = store::Repair;

// What opening an index has cost and found; shown by the view.
struct OpeningRecord {
    enum class Kind : uint32 { none, clean, replayed, reconciled, rebuilt };
    Kind kind;
    int64 milliseconds;
    int64 log_records;
    int64 dropped_records;
    int64 damaged_records;
};

// How far a repair has come, in pages of the table. Written by the process that repairs.
struct RepairProgress {
    std::atomic<uint64> pages_done;
    std::atomic<uint64> pages;
};

// A repair that is needed or under way, and what earlier ones did. Under Registry::lock, but for
// the progress.
struct RepairRecord {
    Repair kind;       // none while nothing has to be repaired
    char reason[256];  // why
    uint32 failures;   // failed attempts since it was needed
    int64 requested;   // TimestampTz: since when it is needed
    int64 launched;    // TimestampTz: when a background process was asked for, 0 when none is
    int64 retry_at;    // TimestampTz: no attempt in the background before this time
    // TimestampTz. Until this time, writers do not tell the index of their rows, since it will be
    // rebuilt (leave_to_rebuild). 0: they do.
    int64 left_until;
    RepairProgress progress;
    int64 repaired;  // repairs since the server started
    int64 added;     // entries, by the last one
    int64 removed;
};

// What sessions that write to an index wait for.
enum class WorkerDebt : uint32 { linking, compaction, checkpoint };

// A page of a table of which an index may not have the rows as they are now, from a line pointer
// on.
struct PageBehind {
    BlockNumber page;
    OffsetNumber from;

    auto operator<=>(const PageBehind &) const = default;
};

// Of a standby's index, which a follower keeps (following.hpp).
struct Following {
    // 1 while it is one, which implies that it is ready; changed under Registry::lock.
    std::atomic<uint32> on;
    // Of what follows, and of the entry's part of Registry::pages_behind.
    LWLock lock;
    uint64 incarnation;  // of the entry, when it began to be followed
    int follower;        // process ID; 0: it has ended
    bool complete;       // the index has all pages but those behind
    uint64 read_to;      // LSN: what WAL before it has touched is behind, or in the index
    uint64 safe;         // LSN: of all before it the index has everything
    IndexFile heap;      // the table's file
    uint32 count;        // pages behind
};

struct IndexEntry {
    bool used;
    IndexFile file;
    // Unique for each index and each opening of it. What a backend has cached about this entry is
    // valid only as long as the incarnation is the one that it saw.
    std::atomic<uint64> incarnation;
    std::atomic<IndexState> state;
    ConditionVariable state_changed;
    ConditionVariable progress;  // the worker linked or flushed something
    SharedLock append_lock;
    SharedLock grow_lock;
    // Held by the worker while it works on the index's files, and by a process that replaces them
    // or gives the entry to another index. Acquired before Registry::lock.
    SharedLock maintenance_lock;
    // Held while the log is synced, and while `shared` is reset. Only Registry::lock may be
    // acquired while it is held.
    SharedLock sync_lock;

    // Under Registry::lock. Written while opening, constant while ready.
    store::Shape shape;
    Life life;  // of the file number, that the files in the sidecar belong to; zero until opened

    // A repair also reads rows of transactions in progress. These insert the same rows into the
    // index later and must not add them twice, so a transaction older than `rebuilt_before_xid`
    // first looks for its row among the ids below `rebuilt_nodes`. 0 means that there was no repair
    // since the server started. An index that may have been repaired when it last had an entry
    // counts as repaired.
    std::atomic<uint64> rebuilt_before_xid;
    std::atomic<uint32> rebuilt_nodes;

    OpeningRecord opening;  // under Registry::lock
    // TimestampTz. The index could not be opened, and queries do not try again before this time.
    // Under Registry::lock.
    int64 opening_put_off;
    RepairRecord repair;
    std::atomic<uint32> used_lately;  // since the clock hand last passed (entry_eviction.hpp)
    std::atomic<uint64> scans;
    std::atomic<uint64> last_scan;  // TimestampTz of the statement that began it
    std::atomic<uint64> checkpoints;
    std::atomic<uint32> checkpoints_wanted;  // to be taken although none is due
    std::atomic<uint64> compactions;
    std::atomic<uint32> waiting;          // sessions, for the worker; whichever index they want
    std::atomic<WorkerDebt> waiting_for;  // what the latest of them does
    std::atomic<uint64> waits;            // since the server started
    std::atomic<uint64> damage;           // damaged places found since the server started
    std::atomic<uint64> last_checkpoint_time;  // TimestampTz
    IndexCounters counters;

    Following following;

    store::SharedState shared;
};

struct Registry {
    LWLock lock;
    // Held shared while an index's folder is created, exclusively while the sweep decides that one
    // is an orphan and moves it away.
    SharedLock folder_lock;
    SharedLock starts_lock;  // of the file of server starts
    uint64 server_start;     // see server_starts.hpp
    std::atomic<bool> recovery_end_noted;
    std::atomic<uint64> last_incarnation;
    WaitEvents wait_events;
    std::atomic<Latch *> worker_latch;  // null while no worker runs
    std::atomic<uint32> worker_sleeps;
    // 1: it was logged that no background worker was available to repair an index, and none has
    // become available since.
    std::atomic<uint32> no_process_told;
    // Processes that have opened an index. The worker outlives them at shutdown.
    std::atomic<uint32> users;
    // The highest rebuilt_before_xid of an entry that was given to another index.
    std::atomic<uint64> repaired_before_xid;
    // 1: there may be followed indexes whose server has been promoted since.
    std::atomic<uint32> follows;
    // For each entry so many pages of its table; none but on servers that start as a standby.
    uint32 most_pages_behind;
    PageBehind *pages_behind;
    int hand;  // of the clock that chooses which entry goes; under `lock`
    int capacity;
    // Entries from here on were never used: new ones are made at the lowest free place.
    std::atomic<int> used_end;
    IndexEntry entries[FLEXIBLE_ARRAY_MEMBER];
};

// Reserves shared memory; called while the server loads its preloaded libraries.
void registry_init();
// Called instead when dvec is not preloaded. If the extension is being created, warns that its
// indexes cannot be used.
void warn_without_registry();

// The table; null when dvec was not preloaded.
Registry *registry() noexcept;
// The table; raises 55000 with a hint when dvec was not preloaded.
Registry *require_registry();

// All entries that have ever been used. Check IndexEntry::used for those in use.
std::span<IndexEntry> known_entries() noexcept;

// Under Registry::lock. The entry of an index, or null.
IndexEntry *find_entry(const IndexFile &file) noexcept;
// The same, but null also where the entry is not ready: what stands in it may then be of a former
// life of the index.
IndexEntry *find_ready_entry(const IndexFile &file) noexcept;
// Under Registry::lock, exclusively. A new, closed entry; null when the table is full.
IndexEntry *make_entry(const IndexFile &file);
// Under Registry::lock, exclusively, and the entry's maintenance_lock. Forgets an index.
void free_entry(IndexEntry *entry) noexcept;
// A number never given out before; under Registry::lock or by the one process that opens an index.
uint64 next_incarnation() noexcept;
// Under which life an entry was opened. Takes Registry::lock.
Life life_of(const IndexEntry &entry) noexcept;
// Whether the entry is ready and still the one that had this incarnation.
bool in_use(const IndexEntry &entry, uint64 incarnation) noexcept;
// Frees the entry of the index that was stored in `file`, if there is one; the index is gone. When
// this returns, the worker no longer touches its files. Waits for the worker (SharedLock::lock).
void forget_index(const IndexFile &file);
// The same, but does nothing and returns false when a process is working on the index.
bool forget_idle_index(const IndexFile &file) noexcept;

// Changes the state under Registry::lock and wakes the processes that wait for that.
void set_state(IndexEntry *entry, IndexState state);

// Tells the worker that there is something to do, unless it is awake anyway.
void wake_worker() noexcept;
bool worker_runs() noexcept;

// "dvec/<tablespace>_<database>_<number>", relative to the data directory, where every server
// process stays. Temporary relations have "t<backend>_" before the number.
std::string index_directory(const IndexFile &file);
// The same without taking memory.
void write_index_directory(const IndexFile &file, char (&path)[MAXPGPATH]) noexcept;
// Takes Registry::lock.
store::Description describe(const IndexEntry &entry);

// Keeps the sweep from removing a folder while it is being created. No ERROR may be raised during
// its lifetime.
class FolderCreation {
  public:
    FolderCreation() : hold_(registry()->folder_lock, LW_SHARED) {}

  private:
    Holding hold_;
};

// An entry's locks as the engine wants them. Must outlive what was opened with them.
class EntryLocks {
  public:
    explicit EntryLocks(IndexEntry &entry) noexcept
        : append_(entry.append_lock), grow_(entry.grow_lock), sync_(entry.sync_lock) {}
    EntryLocks(const EntryLocks &) = delete;
    EntryLocks &operator=(const EntryLocks &) = delete;

    store::Locks engine() noexcept { return {append_, grow_, sync_}; }

  private:
    EngineLock append_;
    EngineLock grow_;
    EngineLock sync_;
};

// Opens what the engine opens on an index's files (Index, Maintainer, Compactor, a recovery), on
// those of an entry; `more` is what else it takes. Takes Registry::lock.
template <class Open, class... More>
auto open_files_of(IndexEntry *entry, EntryLocks &locks, Open open, More &&...more) {
    return open(base::posix_file_system(), describe(*entry), entry->shared, locks.engine(),
                std::forward<More>(more)...);
}

}  // namespace dvec::postgres
