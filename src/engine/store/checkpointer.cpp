// The order of the steps is what makes a checkpoint safe: note how far nodes and log have come (at
// one moment, under the append lock); make the nodes durable; make PostgreSQL's WAL durable as far
// as those nodes go; only then replace the checkpoint record. A crash anywhere in between leaves
// the former record, whose log is still there, since the log is cut by the caller afterwards.
#include "engine/store/checkpointer.hpp"

#include <mutex>

#include "engine/store/index.hpp"

namespace dvec::store {

using base::Status;

namespace {

// The checkpoint to be taken makes durable the removals that only the node files know of, so the
// flag that there are some is cleared here.
Mark mark_for_checkpoint(SharedState &state, Locks locks, bool *unlogged_removals) {
    const std::lock_guard hold(locks.append);
    *unlogged_removals = state.unlogged_removals.exchange(0) != 0;
    return mark(state, state.graph);
}

}  // namespace

Mark mark(const SharedState &state, const graph::SharedState &graph) noexcept {
    return {graph.allocated.load(), graph.deleted.load(), state.log.head.load(),
            state.log.max_lsn.load(), state.reconcile_lsn.load()};
}

CheckpointRecord compose_record(const Description &description, const SharedState &state,
                                const graph::SharedState &graph, const Mark &mark) {
    CheckpointRecord record;
    record.owner_identity = description.owner.identity;
    record.owner_system = description.owner.system;
    record.owner_database = description.owner.database;
    record.owner_relation = description.owner.relation;
    record.owner_device = description.owner.file.device;
    record.owner_inode = description.owner.file.inode;
    record.owner_born = description.owner.file.born;
    record.element = static_cast<std::uint8_t>(description.element);
    record.metric = static_cast<std::uint8_t>(description.metric);
    record.dimensions = description.dimensions;
    record.m = description.m;
    record.columns = description.columns;
    record.ef_construction = description.ef_construction;
    record.segment_bytes = description.segment_bytes;
    record.log_position = mark.position;
    record.max_lsn = mark.max_lsn;
    record.reconcile_lsn = mark.reconcile_lsn;
    record.nodes = mark.nodes;
    record.deleted = mark.deleted;
    record.entry_point = graph.entry_point.load();
    record.linked = graph.linked.load();
    record.upper_blocks = graph.upper_allocated.load();
    record.server_start = state.server_start.load();
    record.generation = state.generation.load();
    record.repair = state.repair.load();
    record.links_unsound = state.links_unsound.load();
    record.connected = state.connected.load();
    return record;
}

void note_place(base::FileSystem &file_system, const graph::NodeStore &nodes,
                CheckpointRecord *record) {
    const base::FileIdentity &identity = nodes.file_identity();
    record->boot = current_boot_id(file_system);
    record->mount = identity.mount;
    record->nodes_device = identity.device;
    record->nodes_inode = identity.inode;
    record->nodes_born = identity.born;
}

Status take_checkpoint(base::FileSystem &file_system, const Description &description,
                       SharedState &state, Locks locks, graph::NodeStore &nodes, WalFlusher &wal,
                       CheckpointKind kind) {
    bool unlogged_removals = false;
    const Mark now = mark_for_checkpoint(state, locks, &unlogged_removals);
    Status status = base::guarded([&]() -> Status {
        CheckpointRecord record = compose_record(description, state, state.graph, now);
        DVEC_TRY(nodes.sync());
        DVEC_TRY(wal.flush(now.max_lsn));

        note_place(file_system, nodes, &record);
        if (kind == CheckpointKind::clean) {
            auto change_time = nodes.file_change_time();
            DVEC_TRY(change_time);
            record.nodes_change_time = change_time.value();
            record.clean = 1;
        }

        // The checkpoint file has several writers (a backend leaving the clean state is one).
        const std::lock_guard hold(locks.grow);
        auto file = CheckpointFile::open(file_system, description.directory);
        DVEC_TRY(file);
        DVEC_TRY(file.value().write(record));
        state.checkpoint_position.store(now.position);
        state.checkpoint_linked.store(record.linked);
        state.clean.store(record.clean, std::memory_order_release);
        return {};
    });
    if (!status.ok() && unlogged_removals)
        state.unlogged_removals.store(1);
    return status;
}

Status take_checkpoint(Index &index, WalFlusher &wal) {
    return take_checkpoint(index.file_system(), index.description(), index.state(), index.locks(),
                           index.writable_nodes(), wal, CheckpointKind::running);
}

Status leave_clean_state(base::FileSystem &file_system, const Description &description,
                         SharedState &state, Locks locks) {
    return base::guarded([&]() -> Status {
        if (state.clean.load(std::memory_order_acquire) == 0)
            return {};
        const std::lock_guard hold(locks.grow);
        return leave_clean_state_locked(file_system, description, state);
    });
}

Status leave_clean_state_locked(base::FileSystem &file_system, const Description &description,
                                SharedState &state) {
    return base::guarded([&]() -> Status {
        if (state.clean.load(std::memory_order_acquire) == 0)
            return {};
        auto file = CheckpointFile::open(file_system, description.directory);
        DVEC_TRY(file);
        auto record = file.value().read();
        DVEC_TRY(record);
        record.value().clean = 0;
        record.value().nodes_change_time = 0;
        record.value().server_start = state.server_start.load();
        // The clean files may have been written on an earlier boot, or mount; what follows is
        // written on this one.
        auto here = file.value().identity();
        DVEC_TRY(here);
        record.value().boot = current_boot_id(file_system);
        record.value().mount = here.value().mount;
        record.value().nodes_device = here.value().device;
        DVEC_TRY(file.value().write(record.value()));
        state.clean.store(0, std::memory_order_release);
        return {};
    });
}

}  // namespace dvec::store
