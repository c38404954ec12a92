// Removals wait until a block is complete, since only then is it known which entries have no row
// there.
#include "engine/store/reconciler.hpp"

#include <cstring>
#include <limits>

namespace dvec::store {

using base::Code;
using base::Result;
using base::Status;
using graph::NodeId;

namespace {

constexpr NodeId nodes_between_polls = 4096;

}  // namespace

Result<std::unique_ptr<Reconciler>> Reconciler::begin(Index &index, Repair repair,
                                                      bool (*interrupted)()) {
    return base::guarded([&]() -> Result<std::unique_ptr<Reconciler>> {
        std::unique_ptr<Reconciler> reconciler(new Reconciler(index));
        DVEC_TRY(index.ready_to_write());
        auto end = index.refresh();
        DVEC_TRY(end);
        if (repair >= Repair::every_page)
            DVEC_TRY(reconciler->drop_damaged(end.value(), interrupted));
        index.writable_nodes().restore_hints(end.value());
        DVEC_TRY(reconciler->entries_.fill(index.nodes(), end.value(), interrupted));
        // The count from before comes from files that could not be believed.
        index.state().graph.deleted.store(end.value() -
                                          static_cast<std::uint32_t>(reconciler->entries_.size()));
        return reconciler;
    });
}

Status Reconciler::drop_damaged(NodeId end, bool (*interrupted)()) {
    graph::NodeStore &nodes = index_.writable_nodes();
    for (NodeId id = 0; id < end; ++id) {
        if (id % nodes_between_polls == 0 && interrupted != nullptr && interrupted())
            return Status(Code::interrupted, "the repair was stopped");
        if (nodes.slot_intact(id))
            continue;
        nodes.mark_hole(id);
        ++report_.damaged;
    }
    // The linker must not read a damaged payload, so links have to be made sound before it runs.
    if (report_.damaged > 0)
        index_.state().links_unsound.store(1);
    return {};
}

bool Reconciler::is_of(NodeId node, const graph::Row &row) const {
    const graph::NodeStore &nodes = index_.nodes();
    return std::memcmp(nodes.vector(node), row.vector, index_.vector_bytes()) == 0 &&
           nodes.same_keys(node, row.keys);
}

Status Reconciler::row(graph::Tid tid, std::uint64_t lsn, const graph::Row &row) {
    return base::guarded([&]() -> Status {
        for (TidMap::Entry &entry : entries_.at(tid)) {
            if (is_of(entry.node, row)) {
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
