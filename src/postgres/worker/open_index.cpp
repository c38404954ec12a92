// The process's own table of open indexes, and the protocol by which one process at a time opens an
// index for all.
//
// PostgreSQL's errors leave by longjmp, so each function here either calls the server or holds C++
// objects with destructors, never both; plain structs carry results from the one kind to the other.
#include "postgres/worker/open_index.hpp"

#include <algorithm>
#include <map>
#include <new>
#include <tuple>

#include "engine/store/recovery.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/worker/server_starts.hpp"
#include "postgres/worker/sweep.hpp"

extern "C" {
#include "access/transam.h"
#include "access/xact.h"
#include "utils/timestamp.h"
}

namespace dvec::postgres {

namespace {

// ---- Opening for all processes ---------------------------------------------------------------

// Takes the entry from `closed` to `opening` and returns true: this process has to open it. Or
// waits until another has, and returns false once it is ready.
bool claim(const IndexFile &file, IndexEntry **result) {
    Registry *table = registry();
    for (;;) {
        LWLockAcquire(&table->lock, LW_EXCLUSIVE);
        IndexEntry *entry = find_entry(file);
        if (entry == nullptr)
            entry = make_entry(file);
        const IndexState state = entry->state.load();
        if (state == IndexState::closed)
            entry->state.store(IndexState::opening);
        // Before the lock is released, so that no change of state is missed.
        if (state == IndexState::opening)
            ConditionVariablePrepareToSleep(&entry->state_changed);
        LWLockRelease(&table->lock);

        *result = entry;
        if (state == IndexState::ready)
            return false;
        if (state == IndexState::closed)
            return true;
        ConditionVariableSleep(&entry->state_changed, PG_WAIT_EXTENSION);
        ConditionVariableCancelSleep();
    }
}

void abandon_opening(int, Datum entry) {
    set_state(static_cast<IndexEntry *>(static_cast<void *>(DatumGetPointer(entry))),
              IndexState::closed);
}

// A new life of the index: whatever processes have cached about it is no longer valid.
void reset_shared_state(IndexEntry *entry) {
    // A session that still syncs the former files would else raise the new log's watermark.
    LWLockAcquire(&entry->sync_lock, LW_EXCLUSIVE);
    new (&entry->shared) store::SharedState{};
    entry->generation.store(next_generation());
    LWLockRelease(&entry->sync_lock);
}

// A store::StartReport as plain data.
struct StartSummary {
    store::Start start;
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
    if (entry->distrusted.load()) {
        StartSummary summary{};
        summary.start = store::Start::rebuild;
        strlcpy(summary.reason, "its files could not be synced", sizeof summary.reason);
        return summary;
    }
    note_recovery_end();
    return value_or_raise([&]() -> base::Result<StartSummary> {
        EntryLock append(&entry->append_lock);
        EntryLock grow(&entry->grow_lock);
        auto report = store::recover(base::posix_file_system(), describe(*entry), entry->shared,
                                     {append, grow}, ServerStarts());
        if (!report.ok())
            return std::move(report).status();
        return summarise(report.value());
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

void rebuild(IndexEntry *entry, IndexSource &source, const char *reason) {
    ereport(LOG, (errmsg("dvec: rebuilding the files of index %u/%u/%u from its table",
                         entry->file.tablespace, entry->file.database, entry->file.number),
                  errdetail_internal("%s.", reason)));
    // A database that moves to another tablespace and back leaves its folders behind: what they say
    // must not be there any more when it comes back with rows that were added meanwhile.
    sweep();
    source.rebuild(entry->file, entry->shape);
    // Whoever got a transaction ID until now may have had rows read by the rebuild.
    const uint64 next_xid = U64FromFullTransactionId(ReadNextFullTransactionId());

    entry->shape = source.shape();
    entry->distrusted.store(false);
    reset_shared_state(entry);
    const StartSummary summary = recover_files(entry);
    if (summary.start != store::Start::clean)
        ereport(ERROR,
                (errcode(ERRCODE_INTERNAL_ERROR), errmsg("rebuilt index files cannot be opened"),
                 errdetail_internal("%s", summary.reason)));
    entry->rebuilt_nodes.store(entry->shared.graph.allocated.load());
    entry->rebuilt_before_xid.store(next_xid);
}

// Everything up to the point where others may use the index.
void open_for_all(IndexEntry *entry, IndexSource &source) {
    const TimestampTz begin = GetCurrentTimestamp();
    entry->shape = source.shape();
    reset_shared_state(entry);
    entry->rebuilt_before_xid.store(0);

    const StartSummary summary = recover_files(entry);
    report_damage(summary);
    OpeningRecord opening{};
    opening.kind = summary.start == store::Start::clean ? OpeningRecord::Kind::clean
                                                        : OpeningRecord::Kind::replayed;
    if (summary.start == store::Start::repair || summary.start == store::Start::rebuild) {
        rebuild(entry, source, summary.reason);
        opening.kind = OpeningRecord::Kind::rebuilt;
    }
    opening.log_records = summary.records;
    opening.dropped_records = summary.dropped;
    opening.damaged_records = summary.damaged;
    opening.milliseconds = TimestampDifferenceMilliseconds(begin, GetCurrentTimestamp());
    entry->opening = opening;
}

IndexEntry *ready_entry(const IndexFile &file, IndexSource &source) {
    IndexEntry *entry = nullptr;
    if (claim(file, &entry)) {
        PG_ENSURE_ERROR_CLEANUP(abandon_opening, PointerGetDatum(entry));
        { open_for_all(entry, source); }
        PG_END_ENSURE_ERROR_CLEANUP(abandon_opening, PointerGetDatum(entry));
        set_state(entry, IndexState::ready);
        wake_worker();
    }
    return entry;
}

// ---- This process's table --------------------------------------------------------------------

using Key = std::tuple<Oid, Oid, Oid, int>;

Key key_of(const IndexFile &file) {
    return {file.tablespace, file.database, file.number, file.backend};
}

// Never destroyed: nothing in it needs to be released before the process is gone.
// A key can stand there twice: once valid, and once stale but pinned by a scan.
std::multimap<Key, OpenIndex> &open_indexes() {
    static auto *table = new std::multimap<Key, OpenIndex>;
    return *table;
}

bool still_valid(const OpenIndex &open) {
    return in_use(*open.entry, open.generation) && open.index->is_current();
}

OpenIndex *find_open(const IndexFile &file) {
    const auto [begin, end] = open_indexes().equal_range(key_of(file));
    for (auto it = begin; it != end; ++it)
        if (still_valid(it->second))
            return &it->second;
    return nullptr;
}

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

base::Result<OpenIndex *> open_here(IndexEntry *entry) {
    OpenIndex open;
    open.entry = entry;
    open.generation = entry->generation.load(std::memory_order_acquire);
    open.append_lock = std::make_unique<EntryLock>(&entry->append_lock);
    open.grow_lock = std::make_unique<EntryLock>(&entry->grow_lock);
    auto index = store::Index::open(base::posix_file_system(), describe(*entry), entry->shared,
                                    {*open.append_lock, *open.grow_lock});
    if (!index.ok())
        return std::move(index).status();
    open.index = std::move(index).value();
    return &open_indexes().emplace(key_of(entry->file), std::move(open))->second;
}

void leave(int, Datum) { registry()->users.fetch_sub(1); }

// The worker stays until every process that may write is gone.
void count_as_user() {
    static bool counted = false;
    if (counted)
        return;
    before_shmem_exit(leave, Datum{0});
    registry()->users.fetch_add(1);
    counted = true;
}

}  // namespace

OpenIndex *open_index(const IndexFile &file, IndexSource &source) {
    if (OpenIndex *open = find_open(file))
        return open;

    require_registry();
    count_as_user();
    IndexEntry *entry = ready_entry(file, source);
    return value_or_raise([&]() -> base::Result<OpenIndex *> {
        return base::guarded([&]() -> base::Result<OpenIndex *> {
            close_stale();
            return open_here(entry);
        });
    });
}

bool is_open_here(const IndexFile &file) noexcept { return find_open(file) != nullptr; }

void give_up(IndexEntry *entry, uint64 generation) noexcept {
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    const bool mine = in_use(*entry, generation);
    if (mine) {
        // Without a checkpoint nobody will believe the folder after a restart either.
        entry->distrusted.store(true);
        (void)base::guarded([&] {
            return base::posix_file_system().remove(index_directory(entry->file) + "/checkpoint");
        });
        entry->state.store(IndexState::closed);
    }
    LWLockRelease(&registry()->lock);
    if (mine)
        ConditionVariableBroadcast(&entry->state_changed);
}

void pin(OpenIndex *index) noexcept { ++index->pins; }

void unpin(OpenIndex *index) noexcept { --index->pins; }

}  // namespace dvec::postgres
