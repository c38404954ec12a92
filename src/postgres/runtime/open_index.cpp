// The process's own table of open indexes, and the protocol by which one process at a time opens an
// index for all.
//
// PostgreSQL's errors leave by longjmp, so each function here either calls the server or holds C++
// objects with destructors, never both; plain structs carry results from the one kind to the other.
#include "postgres/runtime/open_index.hpp"

#include <algorithm>
#include <map>
#include <new>
#include <tuple>

#include "engine/base/never_destroyed.hpp"
#include "engine/store/recovery.hpp"
#include "postgres/bridge/cleanup.hpp"
#include "postgres/runtime/entry_eviction.hpp"
#include "postgres/runtime/folder_sweep.hpp"
#include "postgres/runtime/repair_state.hpp"
#include "postgres/runtime/server_starts.hpp"

extern "C" {
#include "access/transam.h"
#include "access/xact.h"
#include "pgstat.h"
#include "utils/timestamp.h"
}

namespace dvec::postgres {

namespace {

// ---- Opening for all processes ---------------------------------------------------------------

// How a process finds an index it wants to use.
struct Sight {
    IndexEntry *entry;  // null: it has none, and there is none to be had at the moment
    uint64 generation;
    // `closed`: it was, and is `opening` now; the caller has to open it.
    IndexState state;
    bool repair_here;  // needs_repair only: the caller has to repair it
};

enum class IfBusy : unsigned char { leave, prepare_to_sleep };

Sight look_for(const IndexFile &file, IfBusy if_busy) {
    Registry *table = registry();
    LWLockAcquire(&table->lock, LW_EXCLUSIVE);
    IndexEntry *entry = find_entry(file);
    if (entry == nullptr)
        entry = make_entry(file);
    if (entry == nullptr) {
        LWLockRelease(&table->lock);
        return {nullptr, 0, IndexState::closed, false};
    }
    entry->used_lately.store(1, std::memory_order_relaxed);
    Sight found{entry, entry->generation.load(), entry->state.load(), false};
    if (found.state == IndexState::closed)
        entry->state.store(IndexState::opening);
    else if (found.state == IndexState::needs_repair)
        found.repair_here = must_repair_here(*entry);
    // Before the lock is released, so that no change of state is missed.
    if (if_busy == IfBusy::prepare_to_sleep && found.state != IndexState::closed &&
        found.state != IndexState::ready)
        ConditionVariablePrepareToSleep(&entry->state_changed);
    LWLockRelease(&table->lock);
    return found;
}

// The same when all entries are taken: frees one.
Sight look_with_entry(const IndexFile &file, IfBusy if_busy) {
    Sight found = look_for(file, if_busy);
    while (found.entry == nullptr && free_resting_entry())
        found = look_for(file, if_busy);
    return found;
}

void abandon_opening(int, Datum entry) {
    set_state(static_cast<IndexEntry *>(static_cast<void *>(DatumGetPointer(entry))),
              IndexState::closed);
}

// Whatever processes have opened of the index is no longer valid: not in their next look at the
// registry (in_use), nor in what they are about to write.
void begin_life(IndexEntry *entry) {
    entry->generation.store(next_generation());
    entry->shared.life.store(entry->generation.load());
}

// Both of the entry's locks, for a change that nobody must be writing in the middle of.
class NobodyWrites {
  public:
    explicit NobodyWrites(IndexEntry *entry)
        : grow_(entry->grow_lock), append_(entry->append_lock) {}

  private:
    Holding grow_;
    Holding append_;
};

void set_shape(IndexEntry *entry, const store::Shape &shape) {
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    entry->shape = shape;
    LWLockRelease(&registry()->lock);
}

void note_opening(IndexEntry *entry, const OpeningRecord &opening) {
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    entry->opening = opening;
    LWLockRelease(&registry()->lock);
}

void reset_shared_state(IndexEntry *entry) {
    const NobodyWrites hold(entry);
    // A session that still syncs the former files would else raise the new log's watermark.
    const Holding sync(entry->sync_lock);
    store::reset(entry->shared);
    begin_life(entry);
}

// A store::StartReport as plain data.
struct StartSummary {
    store::Start start;
    Repair repair;
    int64 records;
    int64 dropped;
    int64 damaged;
    char reason[256];
    struct {
        char file[128];
        char reason[128];
        uint64 offset;
        uint64 bytes;
    } first_damage;
};

StartSummary summarise(const store::StartReport &report) {
    StartSummary summary{};
    summary.start = report.start;
    summary.records = static_cast<int64>(report.records);
    summary.dropped = static_cast<int64>(report.dropped);
    summary.damaged = static_cast<int64>(report.damage.size());
    strlcpy(summary.reason, report.reason.c_str(), sizeof summary.reason);
    if (!report.damage.empty()) {
        const log::Damage &damage = report.damage.front();
        strlcpy(summary.first_damage.file, damage.file.c_str(), sizeof summary.first_damage.file);
        strlcpy(summary.first_damage.reason, damage.reason.c_str(),
                sizeof summary.first_damage.reason);
        summary.first_damage.offset = damage.offset;
        summary.first_damage.bytes = damage.bytes;
    }
    return summary;
}

StartSummary recover_files(IndexEntry *entry) {
    note_recovery_end();
    return value_or_raise([&] {
        return base::guarded([&]() -> base::Result<StartSummary> {
            EntryLocks locks(*entry);
            auto report = store::recover(base::posix_file_system(), describe(*entry), entry->shared,
                                         locks.engine(), ServerStarts());
            if (!report.ok())
                return std::move(report).status();
            StartSummary summary = summarise(report.value());
            summary.repair = entry->shared.repair.load();
            return summary;
        });
    });
}

void report_damage(const StartSummary &summary) {
    if (summary.damaged == 0)
        return;
    ereport(WARNING,
            (errcode(ERRCODE_INDEX_CORRUPTED),
             errmsg("dvec: damaged log record at offset %llu of file \"%s\": %s",
                    static_cast<unsigned long long>(summary.first_damage.offset),
                    summary.first_damage.file, summary.first_damage.reason),
             errdetail("%lld places in the index's log are damaged; the first one is %llu bytes "
                       "long.",
                       static_cast<long long>(summary.damaged),
                       static_cast<unsigned long long>(summary.first_damage.bytes))));
}

// "1663/5/16384": how messages name an index whose catalog entry may be out of reach.
struct IndexName {
    char text[48];
};

IndexName name_of(const IndexEntry *entry) {
    IndexName name;
    snprintf(name.text, sizeof name.text, "%u/%u/%u", entry->file.tablespace, entry->file.database,
             entry->file.number);
    return name;
}

void report_opening(const IndexEntry *entry, const RepairResult *repaired) {
    const OpeningRecord &opening = entry->opening;
    char what[160] = "";
    switch (opening.kind) {
        case OpeningRecord::Kind::none:
            break;
        case OpeningRecord::Kind::clean:
            strlcpy(what, "clean start", sizeof what);
            break;
        case OpeningRecord::Kind::replayed:
            snprintf(what, sizeof what,
                     "replay of " INT64_FORMAT " log records (" INT64_FORMAT " dropped)",
                     opening.log_records, opening.dropped_records);
            break;
        case OpeningRecord::Kind::reconciled:
            snprintf(what, sizeof what,
                     "reconcile of " INT64_FORMAT " of " INT64_FORMAT " pages (" INT64_FORMAT
                     " added, " INT64_FORMAT " removed)",
                     repaired->pages, repaired->table_pages, repaired->added, repaired->removed);
            break;
        case OpeningRecord::Kind::rebuilt:
            strlcpy(what, "rebuild", sizeof what);
            break;
    }
    ereport(LOG, (errmsg("dvec: index %s opened in " INT64_FORMAT " ms: %s", name_of(entry).text,
                         opening.milliseconds, what)));
}

// Whether the index was repaired since the server started is not known any more once its entry was
// given to another; then it counts as repaired with the last of those that are in the same case.
// Who looks without need finds nothing: no live entry has the TID of a row that is just being
// added.
void recall_repairs(IndexEntry *entry) {
    entry->rebuilt_nodes.store(entry->shared.graph.allocated.load());
    entry->rebuilt_before_xid.store(registry()->repaired_before_xid.load());
}

// Everything up to the point where it is known whether others may use the index. Returns the state
// it is in then.
IndexState open_for_all(IndexEntry *entry, IndexSource &source) {
    const TimestampTz begin = GetCurrentTimestamp();
    set_shape(entry, source.shape());
    reset_shared_state(entry);

    const StartSummary summary = recover_files(entry);
    recall_repairs(entry);
    report_damage(summary);
    OpeningRecord opening{};
    opening.kind = summary.start == store::Start::clean ? OpeningRecord::Kind::clean
                                                        : OpeningRecord::Kind::replayed;
    opening.log_records = summary.records;
    opening.dropped_records = summary.dropped;
    opening.damaged_records = summary.damaged;
    opening.milliseconds = TimestampDifferenceMilliseconds(begin, GetCurrentTimestamp());
    note_opening(entry, opening);

    if (summary.repair == Repair::none) {
        report_opening(entry, nullptr);
        return IndexState::ready;
    }
    ereport(LOG, (errmsg("dvec: index %s has to be repaired from its table", name_of(entry).text),
                  errdetail_internal("%s.", summary.reason)));
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    note_needed_repair(entry, summary.repair, summary.reason);
    LWLockRelease(&registry()->lock);
    return IndexState::needs_repair;
}

void open_now(IndexEntry *entry, IndexSource &source) {
    IndexState state = IndexState::closed;
    with_error_cleanup(abandon_opening, PointerGetDatum(entry),
                       [&] { state = open_for_all(entry, source); });
    set_state(entry, state);
    wake_worker();
    if (state == IndexState::ready)
        source.announce();
}

// ---- Repairing for all processes -------------------------------------------------------------

// The worker may be in the middle of linking or syncing. It does not begin again, since the entry
// is not ready. Sessions that are about to write find out when they do.
void make_others_let_go(IndexEntry *entry) {
    { const Holding care(entry->care_lock); }
    end_life(entry);
}

void rebuild(IndexEntry *entry, IndexSource &source, RepairResult *result) {
    ereport(LOG,
            (errmsg("dvec: rebuilding the files of index %s from its table", name_of(entry).text),
             errdetail_internal("%s.", entry->repair.reason)));
    // A database that moves to another tablespace and back leaves its folders behind: what they say
    // must not be there any more when it comes back with rows that were added meanwhile.
    sweep();
    *result = source.rebuild(entry);
    reset_shared_state(entry);
    const StartSummary summary = recover_files(entry);
    if (summary.start != store::Start::clean)
        ereport(ERROR,
                (errcode(ERRCODE_INTERNAL_ERROR), errmsg("rebuilt index files cannot be opened"),
                 errdetail_internal("%s", summary.reason)));
}

void run_repair(IndexEntry *entry, IndexSource &source, RepairResult *result) {
    const TimestampTz begin = GetCurrentTimestamp();
    OpeningRecord opening = entry->opening;
    make_others_let_go(entry);
    set_shape(entry, source.shape());
    if (entry->repair.kind == Repair::rebuild) {
        opening.kind = OpeningRecord::Kind::rebuilt;
        rebuild(entry, source, result);
    } else {
        opening.kind = OpeningRecord::Kind::reconciled;
        *result = source.reconcile(entry);
    }
    entry->rebuilt_nodes.store(entry->shared.graph.allocated.load());
    // Whoever has a transaction ID by now may have had rows read by the repair.
    entry->rebuilt_before_xid.store(U64FromFullTransactionId(ReadNextFullTransactionId()));
    opening.milliseconds += TimestampDifferenceMilliseconds(begin, GetCurrentTimestamp());
    note_opening(entry, opening);
    report_opening(entry, result);
}

void abandon_repair(int, Datum entry) {
    fail_repair(static_cast<IndexEntry *>(static_cast<void *>(DatumGetPointer(entry))));
}

// All entries are in the hands of others, each for a moment.
void wait_for_an_entry() {
    constexpr long look_again_ms = 10;
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, look_again_ms,
                    PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

// Returns when the index is ready.
Sight ready_entry(const IndexFile &file, IndexSource &source) {
    // Someone who would have to tell may have died, and the time for others may run out.
    constexpr long look_again_ms = 1000;
    for (;;) {
        const Sight found = look_with_entry(file, IfBusy::prepare_to_sleep);
        if (found.entry == nullptr) {
            wait_for_an_entry();
            continue;
        }
        if (found.state == IndexState::ready)
            return found;
        if (found.state == IndexState::closed) {
            open_now(found.entry, source);
        } else if (found.repair_here) {
            ConditionVariableCancelSleep();
            repair_index(found.entry, found.generation, source);
        } else {
            wake_worker();
            ConditionVariableTimedSleep(&found.entry->state_changed, look_again_ms,
                                        PG_WAIT_EXTENSION);
            ConditionVariableCancelSleep();
        }
    }
}

// ---- This process's table --------------------------------------------------------------------

using Key = std::tuple<Oid, Oid, Oid, int>;

Key key_of(const IndexFile &file) {
    return {file.tablespace, file.database, file.number, file.backend};
}

// A key can stand there twice: once valid, and once stale but pinned by a scan.
std::multimap<Key, OpenIndex> &open_indexes() noexcept {
    static base::NeverDestroyed<std::multimap<Key, OpenIndex>> table;
    return *table;
}

bool still_valid(const OpenIndex &open) {
    return in_use(*open.entry, open.generation) && open.index->is_current();
}

// The mark of others' clock is written only where it is not there: it is looked at for every row.
void note_use(OpenIndex *open) {
    static uint64 uses = 0;
    open->last_used = ++uses;
    if (open->entry->used_lately.load(std::memory_order_relaxed) == 0)
        open->entry->used_lately.store(1, std::memory_order_relaxed);
}

}  // namespace

OpenIndex *find_open_index(const IndexFile &file) noexcept {
    const auto [begin, end] = open_indexes().equal_range(key_of(file));
    for (auto it = begin; it != end; ++it)
        if (still_valid(it->second)) {
            note_use(&it->second);
            return &it->second;
        }
    return nullptr;
}

namespace {

// The files of an index that is gone take disk space as long as they are mapped, so what is not
// valid any more is closed whenever something is opened. A scan in progress finishes on what it
// has.
void close_stale() {
    auto &table = open_indexes();
    for (auto it = table.begin(); it != table.end();) {
        if (it->second.pins == 0 && !still_valid(it->second))
            it = table.erase(it);
        else
            ++it;
    }
}

// A process may have only so many mappings (vm.max_map_count), four for each index it writes to.
constexpr std::size_t most_open = 2048;

void close_longest_unused() {
    auto &table = open_indexes();
    if (table.size() < most_open)
        return;
    auto longest = table.end();
    for (auto it = table.begin(); it != table.end(); ++it)
        if (it->second.pins == 0 &&
            (longest == table.end() || it->second.last_used < longest->second.last_used))
            longest = it;
    if (longest != table.end())
        table.erase(longest);
}

base::Result<OpenIndex *> open_here(const IndexFile &file, IndexEntry *entry, uint64 generation) {
    OpenIndex open;
    open.entry = entry;
    open.generation = generation;
    open.locks = std::make_unique<EntryLocks>(*entry);
    auto index = store::Index::open(base::posix_file_system(), describe(*entry), entry->shared,
                                    open.locks->engine());
    if (!index.ok())
        return std::move(index).status();
    open.index = std::move(index).value();
    OpenIndex *opened = &open_indexes().emplace(key_of(file), std::move(open))->second;
    note_use(opened);
    return opened;
}

// A failure is told, not raised: it may be of no interest.
struct Opened {
    OpenIndex *index;
    PendingError error;
    bool stale;  // the files were exchanged for others in this moment
};

Opened try_open_here(const IndexFile &file, const Sight &found) {
    auto opened = base::guarded([&]() -> base::Result<OpenIndex *> {
        close_stale();
        close_longest_unused();
        return open_here(file, found.entry, found.generation);
    });
    if (!opened.ok())
        return {nullptr, pending_error(opened.status()),
                opened.status().code() == base::Code::stale};
    return {opened.value(), {}, false};
}

void leave(int, Datum) { registry()->users.fetch_sub(1); }

// What was dropped or replaced since is closed at the end of a transaction too: the session may be
// idle from now on.
void close_stale_at_end(XactEvent event, void *) {
    static uint64 seen = 0;
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
        return;
    const uint64 generation = registry()->last_generation.load(std::memory_order_relaxed);
    if (generation == seen)
        return;
    seen = generation;
    close_stale();
}

// The worker stays until every process that may write is gone.
void count_as_user() {
    static bool counted = false;
    if (counted)
        return;
    RegisterXactCallback(close_stale_at_end, nullptr);
    before_shmem_exit(leave, Datum{0});
    registry()->users.fetch_add(1);
    counted = true;
}

}  // namespace

OpenIndex *open_index(const IndexFile &file, IndexSource &source) {
    if (OpenIndex *open = find_open_index(file))
        return open;

    require_registry();
    count_as_user();
    for (;;) {
        const Sight found = ready_entry(file, source);
        const Opened opened = try_open_here(file, found);
        CHECK_FOR_INTERRUPTS();
        // What failed because the index ceased to be ready in this moment has not failed. And by
        // now the entry may be another index's: then that is what was opened, and nobody finds it.
        if (opened.stale || !in_use(*found.entry, found.generation))
            continue;
        if (opened.error)
            raise_error(opened.error);
        return opened.index;
    }
}

bool open_without_waiting(const IndexFile &file, IndexSource &source) {
    if (find_open_index(file) != nullptr)
        return true;
    require_registry();
    count_as_user();
    const Sight found = look_with_entry(file, IfBusy::leave);
    if (found.entry == nullptr)
        return false;
    if (found.state == IndexState::closed)
        open_now(found.entry, source);
    return is_worth_planning(file, found.entry->state.load());
}

namespace {

struct Known {
    IndexState state;
    TimestampTz opening_put_off;  // until then
};

Known known_of(const IndexFile &file) noexcept {
    LWLockAcquire(&registry()->lock, LW_SHARED);
    const IndexEntry *entry = find_entry(file);
    const Known known = entry == nullptr ? Known{IndexState::closed, 0}
                                         : Known{entry->state.load(), entry->opening_put_off};
    LWLockRelease(&registry()->lock);
    return known;
}

}  // namespace

bool wants_opening(const IndexFile &file) noexcept {
    if (find_open_index(file) != nullptr)
        return false;
    const Known known = known_of(file);
    return known.state == IndexState::closed &&
           (known.opening_put_off == 0 || known.opening_put_off <= GetCurrentTimestamp());
}

void put_off_opening(const IndexFile &file) noexcept {
    constexpr int for_ms = 60000;
    const TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), for_ms);
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    if (IndexEntry *entry = find_entry(file))
        entry->opening_put_off = until;
    LWLockRelease(&registry()->lock);
}

bool may_be_planned(const IndexFile &file) noexcept {
    return find_open_index(file) != nullptr || is_worth_planning(file, known_of(file).state);
}

bool is_worth_planning(const IndexFile &file, IndexState state) noexcept {
    return state == IndexState::ready ||
           (state == IndexState::needs_repair && file.backend != InvalidBackendId);
}

bool repair_index(IndexEntry *entry, uint64 generation, IndexSource &source) {
    count_as_user();
    if (!begin_repair(entry, generation))
        return false;
    RepairResult result{};
    with_error_cleanup(abandon_repair, PointerGetDatum(entry),
                       [&] { run_repair(entry, source, &result); });
    end_repair(entry, result);
    source.announce();
    return true;
}

void end_life(IndexEntry *entry) {
    const NobodyWrites hold(entry);
    begin_life(entry);
}

void give_up(IndexEntry *entry, uint64 generation) noexcept {
    request_repair(entry, generation, Repair::rebuild, "its files could not be synced");
}

void pin(OpenIndex *index) noexcept { ++index->pins; }

void unpin(OpenIndex *index) noexcept { --index->pins; }

}  // namespace dvec::postgres
