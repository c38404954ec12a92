// Removals wait until a block is complete, since only then is it known which entries have no row
// there.
#include "engine/store/reconciler.hpp"

#include <limits>

#include "engine/store/reconcile_start.hpp"

namespace dvec::store {

using base::Result;
using base::Status;

Result<std::unique_ptr<Reconciler>> Reconciler::begin(Index &index, Repair repair,
                                                      bool (*interrupted)()) {
    return base::guarded([&]() -> Result<std::unique_ptr<Reconciler>> {
        std::unique_ptr<Reconciler> reconciler(new Reconciler(index));
        auto start = start_reconcile(index, repair, interrupted);
        DVEC_TRY(start);
        reconciler->report_.damaged = start.value().damaged;
        DVEC_TRY(reconciler->entries_.fill(index.nodes(), start.value().end, interrupted));
        // The count from before comes from files that could not be believed.
        index.state().graph.deleted.store(start.value().end -
                                          static_cast<std::uint32_t>(reconciler->entries_.size()));
        return reconciler;
    });
}

Status Reconciler::row(graph::Tid tid, std::uint64_t lsn, const graph::Row &row) {
    return base::guarded([&]() -> Status {
        for (TidMap::Entry &entry : entries_.at(tid)) {
            if (index_.nodes().has_row(entry.node, row)) {
                entry.marked = true;
                ++report_.kept;
                return {};
            }
        }
        if (!added_.note(tid))
            return {};
        auto id = index_.insert(tid, lsn, row);
        DVEC_TRY(id);
        ++report_.added;
        return {};
    });
}

Status Reconciler::finish_blocks(std::uint32_t first, std::uint32_t end, std::uint64_t lsn) {
    return base::guarded([&]() -> Status {
        for (const TidMap::Entry &entry : entries_.in_blocks(first, end)) {
            if (entry.marked)
                continue;
            DVEC_TRY(index_.remove(entry.node, lsn));
            ++report_.removed;
        }
        return {};
    });
}

Status Reconciler::complete(std::uint32_t blocks, WalFlusher &wal, std::uint64_t reconcile_lsn) {
    return base::guarded([&]() -> Status {
        // All block numbers are below this one.
        constexpr std::uint32_t no_block = std::numeric_limits<std::uint32_t>::max();
        DVEC_TRY(finish_blocks(blocks, no_block, 0));
        DVEC_TRY(index_.sync_log());
        SharedState &state = index_.state();
        const Repair pending = state.repair.load();
        state.repair.store(Repair::none);
        state.reconcile_lsn.store(reconcile_lsn);
        Status status = take_checkpoint(index_, wal);
        if (!status.ok())
            state.repair.store(pending);
        return status;
    });
}

}  // namespace dvec::store
