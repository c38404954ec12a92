// dvec_index_states(): the registry as rows. The view dvec_indexes joins it to the catalog.
#include <string_view>

#include "engine/graph/node_file_names.hpp"
#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/runtime/following.hpp"
#include "postgres/runtime/index_files.hpp"
#include "postgres/runtime/index_parts.hpp"
#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

namespace {

constexpr int columns = 42;
constexpr int row_byte_columns = 6;  // the last of them

struct Followed {
    bool on;
    bool complete;
};

const char *state_name(IndexState state) {
    switch (state) {
        case IndexState::closed:
            return "closed";
        case IndexState::opening:
            return "opening";
        case IndexState::ready:
            return "ready";
        case IndexState::needs_repair:
            return "needs_repair";
        case IndexState::repairing:
            return "repairing";
    }
    return "unknown";
}

// On a standby an index that is ready for its follower is so for queries only when it is complete.
const char *state_name(IndexState state, const Followed &followed) {
    if (state != IndexState::ready || !followed.on)
        return state_name(state);
    return followed.complete ? "following" : "repairing";
}

const char *opening_name(OpeningRecord::Kind kind) {
    switch (kind) {
        case OpeningRecord::Kind::none:
            return nullptr;
        case OpeningRecord::Kind::clean:
            return "clean start";
        case OpeningRecord::Kind::replayed:
            return "replay";
        case OpeningRecord::Kind::reconciled:
            return "reconcile";
        case OpeningRecord::Kind::rebuilt:
            return "rebuild";
    }
    return nullptr;
}

const char *repair_name(Repair kind) {
    switch (kind) {
        case Repair::none:
            return nullptr;
        case Repair::changed_pages:
            return "changed pages";
        case Repair::every_page:
            return "every page";
        case Repair::rebuild:
            return "rebuild";
    }
    return nullptr;
}

const char *wait_name(WorkerDebt debt) {
    switch (debt) {
        case WorkerDebt::linking:
            return "linking";
        case WorkerDebt::compaction:
            return "compaction";
        case WorkerDebt::checkpoint:
            return "checkpoint";
    }
    return nullptr;
}

// A repair, pending or under way, and what the last one did.
struct RepairSnapshot {
    Repair kind;
    char reason[sizeof RepairRecord::reason];
    int64 done, total;
    int64 repaired, added, removed;
};

RepairSnapshot take_repair_snapshot(const RepairRecord &repair) {
    RepairSnapshot row{};
    row.kind = repair.kind;
    strlcpy(row.reason, repair.reason, sizeof row.reason);
    row.done = static_cast<int64>(repair.progress.pages_done.load());
    row.total = static_cast<int64>(repair.progress.pages.load());
    row.repaired = repair.repaired;
    row.added = repair.added;
    row.removed = repair.removed;
    return row;
}

// What the row of one index shows, copied out of the registry under its lock.
struct Snapshot {
    IndexFile file;
    IndexState state;
    Followed followed;
    OpeningRecord opening;
    int64 nodes, deleted, tail;
    int64 rows;  // not deleted; 0 for an index that is not ready
    PartBytes parts;
    int64 log_bytes, unsynced;
    int64 checkpoints, scans;
    int64 compactions, damage;
    int64 compact_done, compact_left;  // both 0: none is under way
    int64 waiting, waits;
    WorkerDebt waiting_for;
    XLogRecPtr reconcile_lsn;
    int64 pages_behind;
    XLogRecPtr read_lsn;
    TimestampTz last_checkpoint;
    RepairSnapshot repair;
};

Snapshot take_snapshot(const IndexEntry &entry) {
    Snapshot row{};
    row.file = entry.file;
    row.state = entry.state.load();
    row.followed.on = entry.following.on.load() != 0;
    row.opening = entry.opening;
    const graph::SharedState &graph = entry.shared.graph;
    // `linked` first: it never passes `allocated`, which only grows.
    const int64 linked = graph.linked.load();
    row.nodes = graph.allocated.load();
    row.tail = row.nodes - linked;
    row.deleted = graph.deleted.load();
    IndexContents contents;
    if (contents_of(entry, &contents)) {
        row.rows = contents.rows();
        row.parts = part_bytes(contents);
    }
    const log::SharedState &log = entry.shared.log;
    row.unsynced = static_cast<int64>(log.head.load() - log.synced.load());
    row.log_bytes = static_cast<int64>(log.ready_end.load() - log.first.load());
    row.checkpoints = static_cast<int64>(entry.checkpoints.load());
    row.scans = static_cast<int64>(entry.scans.load());
    row.compactions = static_cast<int64>(entry.compactions.load());
    row.compact_done = entry.shared.compaction.done.load();
    row.compact_left = entry.shared.compaction.left.load();
    row.waiting = entry.waiting.load();
    row.waiting_for = entry.waiting_for.load();
    row.waits = static_cast<int64>(entry.waits.load());
    row.damage = static_cast<int64>(entry.damage.load());
    row.reconcile_lsn = entry.shared.reconcile_lsn.load();
    if (row.followed.on) {
        const FollowedTo to = followed_to(entry);
        row.followed.complete = to.complete;
        row.reconcile_lsn = to.safe;
        row.pages_behind = to.pages_behind;
        row.read_lsn = to.read_to;
    }
    row.last_checkpoint = static_cast<TimestampTz>(entry.last_checkpoint_time.load());
    row.repair = take_repair_snapshot(entry.repair);
    return row;
}

// What the node files take, those included that a compaction makes at this moment. The folder may
// go meanwhile.
int64 node_file_bytes(const IndexFile &file) {
    char folder[MAXPGPATH];
    write_index_directory(file, folder);
    DIR *directory = AllocateDir(folder);
    if (directory == nullptr)
        return 0;
    int64 bytes = 0;
    for_each_file(directory, folder, LOG, [&](std::string_view name, int64 size) {
        if (graph::is_node_file(name))
            bytes += size;
    });
    return bytes;
}

Datum interval_of_milliseconds(int64 milliseconds) {
    auto *interval = static_cast<Interval *>(palloc0(sizeof(Interval)));
    interval->time = milliseconds * 1000;
    return IntervalPGetDatum(interval);
}

// What a row takes of the files and of its parts. An index without rows does not tell.
void put_row_bytes(const Snapshot &row, int64 bytes, Datum *values, bool *nulls) {
    const int64 parts[row_byte_columns] = {
        bytes, row.parts.links, row.parts.codes, row.parts.vectors, row.parts.upper, row.log_bytes};
    for (int i = 0; i < row_byte_columns; ++i) {
        nulls[i] = row.rows == 0;
        if (row.rows > 0)
            values[i] =
                Float8GetDatum(static_cast<double>(parts[i]) / static_cast<double>(row.rows));
    }
}

void put(ReturnSetInfo *result, const Snapshot &row) {
    Datum values[columns];
    bool nulls[columns] = {};
    int column = 0;
    const int64 bytes = node_file_bytes(row.file);
    const auto number = [&](int64 value) { values[column++] = Int64GetDatum(value); };
    const auto text = [&](const char *value) {
        nulls[column] = value == nullptr;
        values[column++] = value == nullptr ? Datum{0} : CStringGetTextDatum(value);
    };
    const auto number_if = [&](bool shown, int64 value) {
        nulls[column] = !shown;
        number(value);
    };
    values[column++] = ObjectIdGetDatum(row.file.tablespace);
    values[column++] = ObjectIdGetDatum(row.file.database);
    values[column++] = ObjectIdGetDatum(row.file.number);
    nulls[column] = row.file.backend == InvalidBackendId;
    values[column++] = Int32GetDatum(row.file.backend);
    text(state_name(row.state, row.followed));
    number(row.nodes);
    number(row.deleted);
    number(row.tail);
    number(bytes);
    number(row.log_bytes);
    number(row.unsynced);
    number(row.checkpoints);
    nulls[column] = row.last_checkpoint == 0;
    values[column++] = TimestampTzGetDatum(row.last_checkpoint);
    number(row.scans);
    text(opening_name(row.opening.kind));
    values[column++] = interval_of_milliseconds(row.opening.milliseconds);
    number(row.opening.log_records);
    number(row.opening.dropped_records);
    number(row.opening.damaged_records);
    number(row.damage);
    number(row.compactions);
    const int64 compact_total = row.compact_done + row.compact_left;
    number_if(compact_total > 0, row.compact_done);
    number_if(compact_total > 0, compact_total);
    number(row.waiting);
    text(row.waiting > 0 ? wait_name(row.waiting_for) : nullptr);
    number(row.waits);
    values[column++] = LSNGetDatum(row.reconcile_lsn);
    number_if(row.followed.complete, row.pages_behind);
    nulls[column] = !row.followed.complete;
    values[column++] = LSNGetDatum(row.read_lsn);
    const RepairSnapshot &repair = row.repair;
    const bool pending = repair.kind != Repair::none;
    text(repair_name(repair.kind));
    text(pending ? repair.reason : nullptr);
    const bool reads_pages =
        row.state == IndexState::repairing || (row.followed.on && !row.followed.complete);
    number_if(reads_pages, repair.done);
    number_if(reads_pages, repair.total);
    number(repair.repaired);
    number_if(repair.repaired > 0, repair.added);
    number_if(repair.repaired > 0, repair.removed);
    put_row_bytes(row, bytes, &values[column], &nulls[column]);
    column += row_byte_columns;
    Assert(column == columns);
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

bool copy_entry(const IndexEntry &entry, Snapshot *row) {
    LWLockAcquire(&registry()->lock, LW_SHARED);
    const bool used = entry.used;
    if (used)
        *row = take_snapshot(entry);
    LWLockRelease(&registry()->lock);
    return used;
}

}  // namespace

DVEC_COMMON_FUNCTION(index_states) {
    InitMaterializedSRF(fcinfo, 0);
    if (registry() == nullptr)
        return Datum{0};
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    for (const IndexEntry &entry : known_entries()) {
        Snapshot row;
        if (copy_entry(entry, &row))
            put(result, row);
    }
    return Datum{0};
}

}  // namespace dvec::postgres
