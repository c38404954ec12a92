// INSERT: one copy into a slot, one into the log. Linking is the worker's job; a session only waits
// for it when the tail, which every search has to scan, grows beyond its limit.
#include <algorithm>
#include <vector>

#include "postgres/am/access.hpp"
#include "postgres/am/item_pointer.hpp"
#include "postgres/am/opclass.hpp"
#include "postgres/am/phases.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/worker/settings.hpp"
#include "postgres/worker/wal.hpp"

extern "C" {
#include "access/transam.h"
#include "access/xact.h"
#include "nodes/execnodes.h"
#include "utils/timestamp.h"
}

namespace dvec::postgres {

namespace {

// How long a session waits at a time before it looks again, should nobody wake it; and how long for
// a worker that makes no progress, stopped or stuck, before it goes on without.
constexpr long recheck_ms = 10;
constexpr int patience_ms = 5000;

// As in RebuiltRow.
uint64 packed(graph::Tid tid) { return uint64{tid.block} << 16 | tid.offset; }

bool tail_too_long(const OpenIndex &open) {
    const uint64 bytes = uint64{open.index->tail()} * open.index->vector_bytes();
    return bytes > static_cast<uint64>(settings::tail_limit_kb) * 1024;
}

bool log_too_far_ahead(const OpenIndex &open) {
    const log::SharedState &log = open.entry->shared.log;
    const uint64 synced = log.synced.load(std::memory_order_acquire);
    return log.head.load(std::memory_order_acquire) - synced >
           static_cast<uint64>(settings::log_buffer_limit_kb) * 1024;
}

// Before the row is added, so that giving up here leaves nothing behind. Where there is no worker,
// or a stuck one, there is nobody to wait for: the row is safe in the heap, and the tail is
// searched however long it is.
void wait_for_linking(const OpenIndex &open) {
    if (!tail_too_long(open))
        return;
    const std::atomic<uint32> &linked = open.entry->shared.graph.linked;
    uint32 seen = linked.load();
    TimestampTz since = GetCurrentTimestamp();
    ConditionVariablePrepareToSleep(&open.entry->progress);
    while (tail_too_long(open) && worker_runs()) {
        wake_worker();
        ConditionVariableTimedSleep(&open.entry->progress, recheck_ms, PG_WAIT_EXTENSION);
        const TimestampTz now = GetCurrentTimestamp();
        if (linked.load() != seen) {
            seen = linked.load();
            since = now;
        }
        if (TimestampDifferenceExceeds(since, now, patience_ms))
            break;
    }
    ConditionVariableCancelSleep();
}

// The live nodes below `limit`, by TID.
base::Status collect_rows(OpenIndex *open, uint32 limit) {
    return base::guarded([&]() -> base::Status {
        auto refreshed = open->index->refresh();
        if (!refreshed.ok())
            return std::move(refreshed).status();
        auto rows = std::make_unique<std::vector<RebuiltRow>>();
        rows->reserve(limit);
        for (uint32 id = 0; id < limit; ++id) {
            const uint64 state = open->index->nodes().state(id);
            if (!graph::is_live(state))
                continue;
            rows->push_back({packed(graph::state_tid(state)), id});
        }
        std::sort(rows->begin(), rows->end());
        open->rebuilt_rows = std::move(rows);
        return {};
    });
}

// Whether a rebuild has already taken this row from the heap: it can have if the row's transaction
// had begun when the rebuild ended. An entry that vacuum has marked since was of an earlier row at
// this TID.
bool rebuild_has_row(OpenIndex *open, ItemPointer tid) {
    const uint64 before = open->entry->rebuilt_before_xid.load(std::memory_order_acquire);
    if (before == 0)
        return false;
    if (U64FromFullTransactionId(GetTopFullTransactionId()) >= before)
        return false;
    if (!open->rebuilt_rows)
        ok_or_raise([&] { return collect_rows(open, open->entry->rebuilt_nodes.load()); });
    const auto &rows = *open->rebuilt_rows;
    const RebuiltRow wanted{packed(engine_tid(tid)), 0};
    const auto found = std::lower_bound(rows.begin(), rows.end(), wanted);
    return found != rows.end() && found->tid == wanted.tid &&
           graph::is_live(open->index->nodes().state(found->node));
}

void insert_row(Relation index, OpenIndex *open, ItemPointer tid, Datum value, bool own_row) {
    const void *bytes =
        encode_row(*index_support(index), static_cast<int>(open->entry->shape.dimensions), value);
    if (bytes == nullptr || (own_row && rebuild_has_row(open, tid)))
        return;

    wait_for_linking(*open);
    // The worker syncs at a lower threshold; a session that outruns it does so itself.
    if (log_too_far_ahead(*open))
        sync_log(open);
    const XLogRecPtr lsn = wal_position_of_insert(own_row);
    ok_or_raise([&]() -> base::Status {
        auto id = open->index->insert(engine_tid(tid), lsn, bytes);
        return id.ok() ? base::Status() : std::move(id).status();
    });
    wake_worker();
}

}  // namespace

bool insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation,
            IndexUniqueCheck, bool, struct IndexInfo *index_info) {
    if (isnull[0])
        return false;
    guarded([=] {
        OpenIndex *open = open_relation(index);
        const MemoryContext row_context =
            AllocSetContextCreate(CurrentMemoryContext, "dvec insert", ALLOCSET_SMALL_SIZES);
        const MemoryContext caller = MemoryContextSwitchTo(row_context);
        // Rows of a concurrent build come from other transactions.
        insert_row(index, open, tid, values[0], !index_info->ii_Concurrent);
        MemoryContextSwitchTo(caller);
        MemoryContextDelete(row_context);
    });
    return false;
}

}  // namespace dvec::postgres
