// INSERT: one copy into a slot, one into the log. Linking and syncing are the worker's job; a
// session waits only when the worker has fallen too far behind, and for syncs that its commit
// requires.
#include <algorithm>

#include "postgres/am/attempt.hpp"
#include "postgres/am/callbacks.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/transactions.hpp"
#include "postgres/relation/item_pointer.hpp"
#include "postgres/relation/metapage.hpp"
#include "postgres/relation/row_reader.hpp"
#include "postgres/relation/usual_rows.hpp"
#include "postgres/repair/open_relation.hpp"
#include "postgres/runtime/back_pressure.hpp"
#include "postgres/runtime/log_sync.hpp"
#include "postgres/runtime/repair_state.hpp"
#include "postgres/runtime/wal.hpp"

namespace dvec::postgres {

namespace {

// Collects the live nodes with ids below `limit`, by TID.
base::Status collect_rows(OpenIndex *open, uint32 limit) {
    return base::guarded([&]() -> base::Status {
        auto refreshed = open->index->refresh();
        DVEC_TRY(refreshed);
        auto rows = std::make_unique<store::TidMap>();
        DVEC_TRY(rows->fill(open->index->nodes(), std::min(limit, refreshed.value()), nullptr));
        open->rebuilt_rows = std::move(rows);
        return {};
    });
}

// Whether a repair has already added this row from the heap. That is possible if the row's
// transaction had begun before the repair ended; the transaction of a row that a concurrent build
// adds always had. An entry that vacuum has marked deleted since then belonged to an earlier row
// with this TID.
Attempt look_for_repaired_row(OpenIndex *open, ItemPointer tid, RowOrigin origin, bool *found) {
    *found = false;
    const uint64 before = open->entry->rebuilt_before_xid.load(std::memory_order_acquire);
    if (before == 0)
        return Attempt::done;
    if (origin != RowOrigin::others &&
        U64FromFullTransactionId(GetTopFullTransactionId()) >= before)
        return Attempt::done;
    if (!open->rebuilt_rows && attempt([&] {
                                   return collect_rows(open, open->entry->rebuilt_nodes.load());
                               }) == Attempt::files_replaced)
        return Attempt::files_replaced;
    const auto rows = open->rebuilt_rows->at(engine_tid(tid));
    *found = std::any_of(rows.begin(), rows.end(), [open](const store::TidMap::Entry &row) {
        return graph::is_live(open->index->nodes().state(row.node));
    });
    return Attempt::done;
}

// CREATE INDEX CONCURRENTLY adds rows that other transactions have inserted.
RowOrigin origin_of_row(Relation heap, const IndexInfo *index_info) {
    if (index_info->ii_Concurrent)
        return RowOrigin::others;
    return RelationIsPermanent(heap) && !RelationNeedsWAL(heap) ? RowOrigin::own_without_wal
                                                                : RowOrigin::own;
}

// If a power loss takes the end of the log, a row of our own is found again by the LSN of its heap
// page. Pages whose WAL is skipped have no LSN to go by, and rows of other transactions may have
// LSNs below the one that a checkpoint has promised, so those are synced before the commit.
SyncAtCommit sync_of_row(RowOrigin origin) {
    return origin == RowOrigin::own ? SyncAtCommit::as_set : SyncAtCommit::always;
}

// Whether a log segment or node file turned out to be missing or too short while the index is in
// use. The index is then repaired, and the insert tried again.
bool files_are_spoilt(const base::Status &status) {
    return status.code() == base::Code::not_found || status.code() == base::Code::corrupt;
}

Attempt insert_row(OpenIndex *open, ItemPointer tid, const RowEncoder::Row &row, RowOrigin origin) {
    wait_before_insert(open);
    const XLogRecPtr lsn = wal_position_of_insert(origin);
    return attempt([&]() -> base::Status {
        auto id = open->index->insert(engine_tid(tid), lsn, {row.bytes, row.keys});
        if (id.ok())
            return {};
        if (!files_are_spoilt(id.status()))
            return std::move(id).status();
        request_repair(open->entry, open->incarnation, Repair::rebuild,
                       "its files are gone or too short");
        return {base::Code::stale, std::string()};
    });
}

// What the server hands over of a new row of the table.
struct NewRow {
    const Datum *values;
    const bool *is_null;
    ItemPointer tid;
};

// What all rows of a statement have in common.
struct Inserting {
    RowJudge judge;
    RowEncoder encoder;  // once `encodes`
    bool encodes;
    MemoryContext row_context;
};

// Kept for the statement in the IndexInfo, whose context is the current one.
Inserting *begin_inserting(Relation index) {
    auto *inserting = static_cast<Inserting *>(palloc0(sizeof(Inserting)));
    inserting->judge = row_judge(index);
    inserting->row_context =
        AllocSetContextCreate(CurrentMemoryContext, "dvec insert", ALLOCSET_DEFAULT_SIZES);
    return inserting;
}

Inserting *inserting_of(Relation index, IndexInfo *index_info) {
    if (index_info->ii_AmCache == nullptr) {
        const MemoryContext caller = MemoryContextSwitchTo(index_info->ii_Context);
        index_info->ii_AmCache = begin_inserting(index);
        MemoryContextSwitchTo(caller);
    }
    return static_cast<Inserting *>(index_info->ii_AmCache);
}

// Raises an error for a value that no index can hold, not even a rebuilt one.
RowEncoder::Row encode(Inserting *inserting, Relation index, const OpenIndex *open,
                       const NewRow &added) {
    if (!inserting->encodes) {
        const store::Shape shape =
            open != nullptr ? open->entry->shape : shape_of(index, read_metapage(index));
        inserting->encoder = row_encoder(index, shape);
        inserting->encodes = true;
    }
    return inserting->encoder.encode(added.values, added.is_null);
}

Attempt insert_values(Inserting *inserting, Relation index, Relation heap, const NewRow &added,
                      const IndexInfo *index_info) {
    OpenIndex *open = open_for_writing(index);
    const RowEncoder::Row row = encode(inserting, index, open, added);
    if (open == nullptr)
        return Attempt::done;
    const RowOrigin origin = origin_of_row(heap, index_info);
    if (row.bytes == nullptr)
        return Attempt::done;
    bool there = false;
    if (look_for_repaired_row(open, added.tid, origin, &there) == Attempt::files_replaced)
        return Attempt::files_replaced;
    if (there)
        return Attempt::done;
    if (insert_row(open, added.tid, row, origin) == Attempt::files_replaced)
        return Attempt::files_replaced;
    // Temporary and unlogged indexes do not survive a crash, so they need no sync.
    if (RelationIsPermanent(index))
        sync_at_commit(*open, sync_of_row(origin));
    open->entry->counters.inserts.fetch_add(1, std::memory_order_relaxed);
    wake_worker();
    return Attempt::done;
}

void note_if_unusual(Relation index, RowJudge *judge, Datum value, bool is_null) {
    if (!is_usual(judge, value, is_null))
        note_unusual_row(index);
}

}  // namespace

bool insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
            IndexUniqueCheck, bool, struct IndexInfo *index_info) {
    guarded([=] {
        Inserting *inserting = inserting_of(index, index_info);
        in_row_context(inserting->row_context, [=] {
            note_if_unusual(index, &inserting->judge, values[0], isnull[0]);
            while (!isnull[0] && insert_values(inserting, index, heap, {values, isnull, tid},
                                               index_info) == Attempt::files_replaced)
                CHECK_FOR_INTERRUPTS();
        });
    });
    return false;
}

}  // namespace dvec::postgres
