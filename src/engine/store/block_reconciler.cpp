// What this party writes belongs to an index that is known to be behind (SharedState::repair), so
// no recovery believes it without having looked at the table again, from S on. That must not find
// the table at an earlier moment than the index. A row that was added carries the position of WAL
// that it was read at, and a recovery that does not come so far drops it; it will be read again. A
// removal cannot be taken back, since the mark in the slot may outlive its record in the log. So it
// carries no position, and the caller makes sure first that every recovery comes so far.
#include "engine/store/block_reconciler.hpp"

#include <algorithm>

#include "engine/store/live_nodes.hpp"
#include "engine/store/reconcile_start.hpp"

namespace dvec::store {

using base::Result;
using base::Status;
using graph::NodeId;

namespace {

constexpr std::uint64_t always_kept = 0;

}  // namespace

Result<std::unique_ptr<BlockReconciler>> BlockReconciler::begin(Index &index, Repair repair,
                                                                bool (*interrupted)()) {
    return base::guarded([&]() -> Result<std::unique_ptr<BlockReconciler>> {
        std::unique_ptr<BlockReconciler> reconciler(new BlockReconciler(index));
        auto start = start_reconcile(index, repair, interrupted);
        DVEC_TRY(start);
        reconciler->report_.damaged = start.value().damaged;
        DVEC_TRY(reconciler->fill(start.value().end, interrupted));
        return reconciler;
    });
}

Status BlockReconciler::fill(NodeId end, bool (*interrupted)()) {
    std::uint32_t live = 0;
    DVEC_TRY(for_each_live(index_.nodes(), end, interrupted, [&](NodeId id, graph::Tid tid) {
        entries_[tid.block].push_back(id);
        ++live;
    }));
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

Status BlockReconciler::row(graph::Tid tid, std::uint64_t lsn, const graph::Row &row) {
    return base::guarded([&]() -> Status {
        for (Claim &claim : claims_) {
            if (claim.offset != tid.offset || !index_.nodes().has_row(claim.node, row))
                continue;
            report_.kept += claim.claimed ? 0 : 1;
            claim.claimed = true;
            return {};
        }
        auto id = index_.insert(tid, lsn, row);
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
        for (const Claim &claim : claims_)
            if (!claim.claimed)
                gone_.push_back({block_, claim.node});
        return {};
    });
}

Status BlockReconciler::remove_gone() {
    return base::guarded([&]() -> Status {
        while (!gone_.empty()) {
            DVEC_TRY(remove(gone_.back()));
            gone_.pop_back();
        }
        return {};
    });
}

Status BlockReconciler::remove(const Gone &gone) {
    DVEC_TRY(index_.remove(gone.node, always_kept));
    const auto found = entries_.find(gone.block);
    std::erase(found->second, gone.node);
    if (found->second.empty())
        entries_.erase(found);
    ++report_.removed;
    return {};
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
