// PostgreSQL's errors leave by longjmp, so each function here either calls the server or holds C++
// objects with destructors, never both; plain structs carry results from the one kind to the other.
#include "postgres/runtime/entry_recovery.hpp"

#include "engine/store/recovery.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/runtime/server_starts.hpp"

namespace dvec::postgres {

namespace {

// Invalidates the index as opened by other processes: they notice at their next look at the
// registry (in_use), and whatever they are about to write is refused.
void begin_incarnation(IndexEntry *entry) {
    entry->incarnation.store(next_incarnation());
    entry->shared.incarnation.store(entry->incarnation.load());
}

// Holds both locks that writers take, for a change during which nobody may be writing.
class NobodyWrites {
  public:
    explicit NobodyWrites(IndexEntry *entry)
        : grow_(entry->grow_lock), append_(entry->append_lock) {}

  private:
    Holding grow_;
    Holding append_;
};

}  // namespace

void end_incarnation(IndexEntry *entry) {
    const NobodyWrites hold(entry);
    begin_incarnation(entry);
}

void set_shape(IndexEntry *entry, const store::Shape &shape, const Life &life) {
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    entry->shape = shape;
    entry->life = life;
    LWLockRelease(&registry()->lock);
}

void note_opening(IndexEntry *entry, const OpeningRecord &opening) {
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    entry->opening = opening;
    LWLockRelease(&registry()->lock);
}

void reset_shared_state(IndexEntry *entry) {
    const NobodyWrites hold(entry);
    // Otherwise a session that is still syncing the former files could advance the position of the
    // new log.
    const Holding sync(entry->sync_lock);
    store::reset(entry->shared);
    begin_incarnation(entry);
}

namespace {

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

}  // namespace

StartSummary recover_files(IndexEntry *entry) {
    // A standby's ends with its promotion.
    if (!RecoveryInProgress())
        note_recovery_end();
    return value_or_raise([&] {
        return base::guarded([&]() -> base::Result<StartSummary> {
            EntryLocks locks(*entry);
            auto report = open_files_of(entry, locks, store::recover, ServerStarts());
            DVEC_TRY(report);
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
    // Whose statement opened it does not matter, and it may be long: vectors are.
    ereport(LOG, (errmsg("dvec: index %s opened in " INT64_FORMAT " ms: %s", name_of(entry).text,
                         opening.milliseconds, what),
                  errhidestmt(true), errhidecontext(true)));
}

}  // namespace dvec::postgres
