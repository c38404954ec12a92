// VACUUM: mark the nodes of dead rows deleted. They stay in the graph, since others are reached
// through them, but searches no longer return them.
#include <algorithm>

#include "postgres/am/attempt.hpp"
#include "postgres/am/callbacks.hpp"
#include "postgres/bridge/cleanup.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/relation/item_pointer.hpp"
#include "postgres/repair/open_relation.hpp"
#include "postgres/runtime/back_pressure.hpp"
#include "postgres/runtime/log_sync.hpp"
#include "postgres/runtime/session_checkpoint.hpp"
#include "postgres/runtime/wal.hpp"

namespace dvec::postgres {

namespace {

constexpr uint32 nodes_between_delays = 1024;

// A row is removable because its deletion committed, which with asynchronous commit may not be
// durable yet. It must be durable before the index entry is removed; otherwise a crash could bring
// back a row that the index has lost.
class WalFlushedOnce {
  public:
    void ensure() {
        if (!flushed_)
            flush_wal();
        flushed_ = true;
    }

  private:
    bool flushed_ = false;
};

Attempt find_end(OpenIndex *open, uint32 *end) {
    return attempt([&]() -> base::Status {
        auto readable = open->index->refresh();
        DVEC_TRY(readable);
        *end = readable.value();
        return {};
    });
}

// May stop early, when a compaction or repair has replaced the files and with them all ids. The
// caller then starts again from the beginning, which does no harm: entries that were removed stay
// removed.
Attempt remove_dead(OpenIndex *open, IndexBulkDeleteResult *stats, IndexBulkDeleteCallback is_dead,
                    void *callback_state) {
    uint32 end = 0;
    if (find_end(open, &end) == Attempt::files_replaced)
        return Attempt::files_replaced;
    WalFlushedOnce wal;
    stats->num_index_tuples = 0;
    for (uint32 id = 0; id < end; ++id) {
        if (id % nodes_between_delays == 0) {
            compat::vacuum_delay();
            wait_before_logging(open);
        }
        const uint64 state = open->index->nodes().state(id);
        if (!graph::is_live(state))
            continue;
        ItemPointerData tid = item_pointer(graph::state_tid(state));
        if (!is_dead(&tid, callback_state)) {
            stats->num_index_tuples += 1;
            continue;
        }
        wal.ensure();
        if (attempt([&] { return open->index->remove(id, 0); }) == Attempt::files_replaced)
            return Attempt::files_replaced;
        stats->tuples_removed += 1;
        open->entry->counters.removals.fetch_add(1, std::memory_order_relaxed);
    }
    // All marks must be durable before vacuum frees the line pointers for new rows, those of an
    // earlier vacuum that failed before this point included.
    make_removals_durable(open);
    return Attempt::done;
}

Attempt remove_dead_pinned(OpenIndex *open, IndexBulkDeleteResult *stats,
                           IndexBulkDeleteCallback is_dead, void *callback_state) {
    Attempt result = Attempt::files_replaced;
    pin(open);
    with_last([&] { result = remove_dead(open, stats, is_dead, callback_state); },
              [open] { unpin(open); });
    return result;
}

// A manual VACUUM waits for the compaction, so that it leaves the index small. Autovacuum does not,
// since nobody waits for it and it has other tables to process.
void wait_for_compaction_pinned(OpenIndex *open) {
    if (open == nullptr || MyBackendType == B_AUTOVAC_WORKER)
        return;
    pin(open);
    with_last([open] { wait_for_compaction(*open); }, [open] { unpin(open); });
}

double count_live(OpenIndex *open) {
    const graph::SharedState &graph = open->entry->shared.graph;
    const uint32 allocated = graph.allocated.load();
    return allocated - std::min(allocated, graph.deleted.load());
}

IndexBulkDeleteResult *make_stats(IndexBulkDeleteResult *stats, Relation index) {
    if (stats == nullptr)
        stats = static_cast<IndexBulkDeleteResult *>(palloc0(sizeof(IndexBulkDeleteResult)));
    stats->num_pages = RelationGetNumberOfBlocks(index);
    return stats;
}

}  // namespace

IndexBulkDeleteResult *bulk_delete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
                                   IndexBulkDeleteCallback is_dead, void *callback_state) {
    return guarded([=] {
        IndexBulkDeleteResult *result = make_stats(stats, info->index);
        OpenIndex *open = open_for_writing(info->index);
        while (open != nullptr && remove_dead_pinned(open, result, is_dead, callback_state) ==
                                      Attempt::files_replaced) {
            CHECK_FOR_INTERRUPTS();
            open = open_for_writing(info->index);
        }
        // The rebuilt index has no dead rows.
        result->estimated_count = open == nullptr;
        return result;
    });
}

IndexBulkDeleteResult *vacuum_cleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats) {
    if (info->analyze_only)
        return stats;
    return guarded([=] {
        const bool counted = stats != nullptr;
        IndexBulkDeleteResult *result = make_stats(stats, info->index);
        OpenIndex *open = open_for_writing(info->index);
        if (open != nullptr && !counted)
            result->num_index_tuples = count_live(open);
        else if (!counted)
            result->estimated_count = true;
        wait_for_compaction_pinned(open);
        return result;
    });
}

}  // namespace dvec::postgres
