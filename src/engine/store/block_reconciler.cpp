// Nothing here is logged with a position of PostgreSQL's WAL: what this party writes belongs to an
// index that is known to be behind (SharedState::repair), so no recovery believes it without having
// looked at the table again.
#include "engine/store/block_reconciler.hpp"

#include <algorithm>

#include "engine/store/damaged_nodes.hpp"

namespace dvec::store {

using base::Code;
using base::Result;
using base::Status;
using graph::NodeId;

namespace {

constexpr NodeId nodes_between_polls = 4096;
constexpr std::uint64_t no_lsn = 0;

bool should_stop(NodeId id, bool (*interrupted)()) {
    return id % nodes_between_polls == 0 && interrupted != nullptr && interrupted();
}

}  // namespace

Result<std::unique_ptr<BlockReconciler>> BlockReconciler::begin(Index &index, Repair repair,
                                                                bool (*interrupted)()) {
    return base::guarded([&]() -> Result<std::unique_ptr<BlockReconciler>> {
        std::unique_ptr<BlockReconciler> reconciler(new BlockReconciler(index));
        DVEC_TRY(index.ready_to_write());
        auto end = index.refresh();
        DVEC_TRY(end);
        if (repair >= Repair::every_page) {
            auto damaged = drop_damaged(index, end.value(), interrupted);
            DVEC_TRY(damaged);
            reconciler->report_.damaged = damaged.value();
        }
        if (repair != Repair::none)
            index.writable_nodes().restore_hints(end.value());
        DVEC_TRY(reconciler->fill(end.value(), interrupted));
        return reconciler;
    });
}

Status BlockReconciler::fill(NodeId end, bool (*interrupted)()) {
    std::uint32_t live = 0;
    for (NodeId id = 0; id < end; ++id) {
        if (should_stop(id, interrupted))
            return Status(Code::interrupted, "reading the nodes was stopped");
        const std::uint64_t state = index_.nodes().state(id);
        if (!graph::is_live(state))
            continue;
        entries_[graph::state_tid(state).block].push_back(id);
        ++live;
    }
    // The count from before may come from files that could not be believed.
    index_.state().graph.deleted.store(end - live);
    return {};
}

void BlockReconciler::begin_block(std::uint32_t block, std::uint16_t from) {
    block_ = block;
    claims_.clear();
    const auto found = entries_.find(block);
    if (found == entries_.end())
        return;
    for (const NodeId node : found->second) {
        const std::uint16_t offset = graph::state_tid(index_.nodes().state(node)).offset;
        if (offset >= from)
            claims_.push_back({node, offset, false});
    }
}

Status BlockReconciler::row(graph::Tid tid, const graph::Row &row) {
    return base::guarded([&]() -> Status {
        for (Claim &claim : claims_) {
            if (claim.offset != tid.offset || !index_.nodes().has_row(claim.node, row))
                continue;
            report_.kept += claim.claimed ? 0 : 1;
            claim.claimed = true;
            return {};
        }
        auto id = index_.insert(tid, no_lsn, row);
        DVEC_TRY(id);
        entries_[block_].push_back(id.value());
        claims_.push_back({id.value(), tid.offset, true});
        ++report_.added;
        return {};
    });
}

void BlockReconciler::keep(std::uint16_t offset) noexcept {
    for (Claim &claim : claims_)
        claim.claimed = claim.claimed || claim.offset == offset;
}

Status BlockReconciler::finish_block() {
    return base::guarded([&]() -> Status {
        const auto found = entries_.find(block_);
        if (found == entries_.end())
            return {};
        for (const Claim &claim : claims_) {
            if (claim.claimed)
                continue;
            DVEC_TRY(index_.remove(claim.node, no_lsn));
            std::erase(found->second, claim.node);
            ++report_.removed;
        }
        if (found->second.empty())
            entries_.erase(found);
        return {};
    });
}

std::vector<std::uint32_t> BlockReconciler::blocks_from(std::uint32_t first) const {
    std::vector<std::uint32_t> blocks;
    for (const auto &[block, nodes] : entries_)
        if (block >= first)
            blocks.push_back(block);
    std::sort(blocks.begin(), blocks.end());
    return blocks;
}

}  // namespace dvec::store
