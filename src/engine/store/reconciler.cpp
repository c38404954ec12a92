// Entries are found by binary search in a sorted array: one pass over the nodes fills it, and the
// table is read in order of its blocks.
#include "engine/store/reconciler.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace dvec::store {

using base::Code;
using base::Result;
using base::Status;
using graph::NodeId;

namespace {

constexpr NodeId nodes_between_polls = 4096;

std::uint64_t pack(graph::Tid tid) { return std::uint64_t{tid.block} << 16 | tid.offset; }
std::uint64_t first_tid_of(std::uint64_t block) { return block << 16; }

}  // namespace

Result<std::unique_ptr<Reconciler>> Reconciler::begin(Index &index, Repair repair,
                                                      bool (*interrupted)()) {
    return base::guarded([&]() -> Result<std::unique_ptr<Reconciler>> {
        std::unique_ptr<Reconciler> reconciler(new Reconciler(index));
        DVEC_TRY(index.ready_to_write());
        DVEC_TRY(reconciler->collect(repair, interrupted));
        return reconciler;
    });
}

Status Reconciler::collect(Repair repair, bool (*interrupted)()) {
    auto end = index_.refresh();
    if (!end.ok())
        return std::move(end).status();
    graph::NodeStore &nodes = index_.writable_nodes();
    std::uint32_t dead = 0;
    for (NodeId id = 0; id < end.value(); ++id) {
        if (id % nodes_between_polls == 0 && interrupted != nullptr && interrupted())
            return Status(Code::interrupted, "the repair was stopped");
        if (repair >= Repair::every_page && !nodes.slot_intact(id)) {
            nodes.mark_hole(id);
            ++report_.damaged;
        }
        const std::uint64_t state = nodes.state(id);
        if (graph::is_live(state))
            entries_.push_back({pack(graph::state_tid(state)), id, false});
        else
            ++dead;
    }
    // A linker must not meet what is in a damaged payload.
    if (report_.damaged > 0)
        index_.state().links_unsound.store(1);
    // What was counted before belongs to files that could not be believed.
    index_.state().graph.deleted.store(dead);
    std::sort(entries_.begin(), entries_.end());
    return {};
}

std::vector<Reconciler::Entry>::iterator Reconciler::first_at(std::uint64_t tid) {
    return std::lower_bound(entries_.begin(), entries_.end(), Entry{tid, 0, false});
}

// False when it was added before.
bool Reconciler::note_added(graph::Tid tid) {
    const std::uint64_t key = pack(tid);
    if (!added_in_block_.empty() && added_in_block_.front() >> 16 != tid.block)
        added_in_block_.clear();
    if (std::find(added_in_block_.begin(), added_in_block_.end(), key) != added_in_block_.end())
        return false;
    added_in_block_.push_back(key);
    return true;
}

Status Reconciler::row(graph::Tid tid, std::uint64_t lsn, const void *vector) {
    return base::guarded([&]() -> Status {
        const std::uint64_t key = pack(tid);
        for (auto entry = first_at(key); entry != entries_.end() && entry->tid == key; ++entry) {
            if (std::memcmp(index_.nodes().vector(entry->node), vector, index_.vector_bytes()) ==
                0) {
                entry->found = true;
                ++report_.kept;
                return {};
            }
        }
        if (!note_added(tid))
            return {};
        auto id = index_.insert(tid, lsn, vector);
        if (!id.ok())
            return std::move(id).status();
        ++report_.added;
        return {};
    });
}

Status Reconciler::finish_blocks(std::uint32_t first, std::uint32_t end, std::uint64_t lsn) {
    return base::guarded([&]() -> Status {
        const std::uint64_t limit = first_tid_of(end);
        for (auto entry = first_at(first_tid_of(first));
             entry != entries_.end() && entry->tid < limit; ++entry) {
            if (entry->found)
                continue;
            DVEC_TRY(index_.remove(entry->node, lsn));
            ++report_.removed;
        }
        return {};
    });
}

Status Reconciler::complete(std::uint32_t blocks, WalFlusher &wal, std::uint64_t reconcile_lsn) {
    return base::guarded([&]() -> Status {
        // Block numbers end before this one.
        constexpr std::uint32_t no_block = std::numeric_limits<std::uint32_t>::max();
        DVEC_TRY(finish_blocks(blocks, no_block, 0));
        DVEC_TRY(index_.sync_log());
        SharedState &state = index_.state();
        const Repair pending = state.repair.load();
        state.repair.store(Repair::none);
        state.reconcile_lsn.store(reconcile_lsn);
        Status status =
            take_checkpoint(index_.file_system(), index_.description(), state, index_.locks(),
                            index_.writable_nodes(), wal, CheckpointKind::running);
        if (!status.ok())
            state.repair.store(pending);
        return status;
    });
}

}  // namespace dvec::store
