#include "engine/store/reconcile_start.hpp"

#include "engine/store/live_nodes.hpp"

namespace dvec::store {

using base::Code;
using base::Result;
using base::Status;
using graph::NodeId;

namespace {

// Returns how many there were.
Result<std::uint64_t> drop_damaged(Index &index, NodeId end, bool (*interrupted)()) {
    graph::NodeStore &nodes = index.writable_nodes();
    std::uint64_t damaged = 0;
    for (NodeId id = 0; id < end; ++id) {
        if (id % nodes_between_polls == 0 && interrupted != nullptr && interrupted())
            return Status(Code::interrupted, "verifying the nodes was stopped");
        if (nodes.slot_intact(id))
            continue;
        nodes.mark_hole(id);
        ++damaged;
    }
    // The linker must not read a damaged payload, so links have to be made sound before it runs.
    if (damaged > 0)
        index.state().links_unsound.store(1);
    return damaged;
}

}  // namespace

Result<ReconcileStart> start_reconcile(Index &index, Repair repair, bool (*interrupted)()) {
    DVEC_TRY(index.ready_to_write());
    auto end = index.refresh();
    DVEC_TRY(end);
    ReconcileStart start{end.value(), 0};
    if (repair >= Repair::every_page) {
        auto damaged = drop_damaged(index, start.end, interrupted);
        DVEC_TRY(damaged);
        start.damaged = damaged.value();
    }
    if (repair != Repair::none)
        index.writable_nodes().restore_hints(start.end);
    return start;
}

}  // namespace dvec::store
