// The order is the whole point: note how far nodes and log have come (one moment, under the append
// lock); make the nodes durable; make PostgreSQL's WAL durable as far as those nodes go; only then
// replace the checkpoint record. A crash anywhere in between leaves the former record, whose log is
// still there, since the log is cut by the caller afterwards.
#include "engine/store/checkpointer.hpp"

#include <mutex>

namespace dvec::store {

using base::Status;

namespace {

// What must be read in one moment.
struct Mark {
    std::uint32_t nodes;
    std::uint32_t deleted;
    log::Position position;
    std::uint64_t max_lsn;
    std::uint64_t reconcile_lsn;
    std::uint32_t unlogged_removals;
};

Mark mark(SharedState &state, Locks locks) {
    const std::lock_guard hold(locks.append);
    return {state.graph.allocated.load(), state.graph.deleted.load(),
            state.log.head.load(),        state.log.max_lsn.load(),
            state.reconcile_lsn.load(),   state.unlogged_removals.exchange(0)};
}

CheckpointRecord record_of(const Description &description, const SharedState &state,
                           const Mark &mark) {
    CheckpointRecord record = describe_in_record(description);
    record.log_position = mark.position;
    record.max_lsn = mark.max_lsn;
    record.reconcile_lsn = mark.reconcile_lsn;
    record.nodes = mark.nodes;
    record.deleted = mark.deleted;
    record.entry_point = state.graph.entry_point.load();
    record.linked = state.graph.linked.load();
    record.server_start = state.server_start.load();
    record.upper_blocks = state.graph.upper_allocated.load();
    record.generation = state.generation.load();
    record.repair = state.repair.load();
    record.links_unsound = state.links_unsound.load();
    record.connected = state.connected.load();
    return record;
}

}  // namespace

CheckpointRecord describe_in_record(const Description &description) {
    CheckpointRecord record;
    record.owner_identity = description.owner.identity;
    record.owner_system = description.owner.system;
    record.owner_database = description.owner.database;
    record.owner_relation = description.owner.relation;
    record.element = static_cast<std::uint8_t>(description.element);
    record.metric = static_cast<std::uint8_t>(description.metric);
    record.dimensions = description.dimensions;
    record.m = description.m;
    record.columns = description.columns;
    record.ef_construction = description.ef_construction;
    record.segment_bytes = description.segment_bytes;
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
    const Mark now = mark(state, locks);
    Status status = base::guarded([&]() -> Status {
        CheckpointRecord record = record_of(description, state, now);
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
    if (!status.ok() && now.unlogged_removals != 0)
        state.unlogged_removals.store(1);
    return status;
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
