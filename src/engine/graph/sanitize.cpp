// The pass over all link lists. Which targets are good is looked up in bits that are collected
// first: reading each target's slot would be a cache miss per link.
#include "engine/graph/sanitize.hpp"

#include <algorithm>
#include <vector>

#include "engine/graph/twins.hpp"

namespace dvec::graph {

using base::Code;
using base::Result;
using base::Status;

namespace {

class Sanitizer {
  public:
    explicit Sanitizer(NodeStore &nodes)
        : nodes_(nodes),
          linked_(nodes.shared().linked.load(std::memory_order_acquire)),
          blocks_(std::min(nodes.shared().upper_allocated.load(std::memory_order_acquire),
                           nodes.mapped_upper_blocks())),
          linkable_(linked_) {}

    Result<SanitizeReport> run(const std::atomic<bool> &stop) {
        auto tidied = tidy_twins(nodes_, TwinCheck::vectors, stop);
        DVEC_TRY(tidied);
        report_.repairs += tidied.value().repaired + tidied.value().parted;
        DVEC_TRY(mend_hints(stop));
        for (NodeId id = 0; id < linked_; ++id) {
            if (stopped(id, stop))
                return Status(Code::interrupted, "checking links was stopped");
            inspect(id);
        }
        for (NodeId id = 0; id < linked_; ++id) {
            if (stopped(id, stop))
                return Status(Code::interrupted, "checking links was stopped");
            repair_lists(id);
        }
        repair_entry_point();
        return report_;
    }

  private:
    static bool stopped(NodeId id, const std::atomic<bool> &stop) {
        return (id & 1023) == 0 && stop.load(std::memory_order_relaxed);
    }

    // Includes the hints of the tail.
    Status mend_hints(const std::atomic<bool> &stop) {
        const NodeId end = std::min(nodes_.shared().allocated.load(std::memory_order_acquire),
                                    nodes_.mapped_slots());
        for (NodeId id = 0; nodes_.layout().columns > 0 && id < end; ++id) {
            if (stopped(id, stop))
                return Status(Code::interrupted, "checking links was stopped");
            report_.repairs += nodes_.mend_hints(id);
        }
        return {};
    }

    // The highest level on which the node has a list; -1 for a twin or a slot without payload.
    int level(NodeId id) const {
        if (!linkable_[id])
            return -1;
        return nodes_.owned_upper_blocks(id, blocks_) ? node_level(id, nodes_.layout().m) : 0;
    }

    void inspect(NodeId id) {
        linkable_[id] = (state_flags(nodes_.state(id)) & (slot_ready | slot_hole)) == slot_ready &&
                        !is_twin(nodes_, id);
        auto &reference = nodes_.slot(id)->upper;
        if (reference.load(std::memory_order_relaxed) != 0 &&
            !nodes_.owned_upper_blocks(id, blocks_)) {
            reference.store(0, std::memory_order_relaxed);
            ++report_.repairs;
        }
    }

    void repair_lists(NodeId id) {
        const int top = level(id);
        if (repair_list(id, 0, &nodes_.slot(id)->link_count) == 0 && top >= 0 && linked_ > 1 &&
            has_live_row(nodes_, id, linked_))
            ++report_.isolated;
        if (top <= 0)
            return;
        const std::uint32_t first = *nodes_.owned_upper_blocks(id, blocks_);
        for (int at = 1; at <= top; ++at)
            repair_list(id, at, nodes_.upper_block(first + static_cast<std::uint32_t>(at) - 1));
    }

    // Returns how many links are left.
    std::uint32_t repair_list(NodeId id, int at, std::atomic<std::uint32_t> *words) {
        const std::uint32_t limit = at == 0 ? nodes_.layout().level0_links() : nodes_.layout().m;
        const std::uint32_t stored = words[0].load(std::memory_order_relaxed);
        const std::uint32_t count = linkable_[id] ? std::min(stored, limit) : 0;
        kept_.clear();
        for (std::uint32_t i = 1; i <= count; ++i) {
            const NodeId target = words[i].load(std::memory_order_relaxed);
            if (target < linked_ && target != id && linkable_[target] &&
                (at == 0 || level(target) >= at))
                kept_.push_back(target);
        }
        drop_duplicates();
        const auto left = static_cast<std::uint32_t>(kept_.size());
        if (left == stored)
            return left;
        report_.repairs += stored > limit ? 1 + limit - left : stored - left;
        for (std::uint32_t i = 0; i < left; ++i)
            words[i + 1].store(kept_[i], std::memory_order_relaxed);
        words[0].store(left, std::memory_order_release);
        return left;
    }

    void drop_duplicates() {
        sorted_ = kept_;
        std::sort(sorted_.begin(), sorted_.end());
        const auto end = std::unique(sorted_.begin(), sorted_.end());
        if (end == sorted_.end())
            return;
        kept_.assign(sorted_.begin(), end);
    }

    void repair_entry_point() {
        SharedState &shared = nodes_.shared();
        const auto entry = EntryPoint::unpack(shared.entry_point.load(std::memory_order_relaxed));
        if (entry.level < 0 ? linked_ == 0 : entry.id < linked_ && level(entry.id) == entry.level)
            return;
        EntryPoint best;
        for (NodeId id = 0; id < linked_; ++id)
            if (node_level(id, nodes_.layout().m) > best.level && level(id) > best.level)
                best = {id, level(id)};
        if (best.level == entry.level && entry.level < 0)
            return;
        shared.entry_point.store(EntryPoint::pack(best), std::memory_order_release);
        ++report_.repairs;
    }

    NodeStore &nodes_;
    const NodeId linked_;
    const std::uint32_t blocks_;
    std::vector<bool> linkable_;  // has a payload and is no twin
    std::vector<NodeId> kept_;
    std::vector<NodeId> sorted_;
    SanitizeReport report_;
};

}  // namespace

Result<SanitizeReport> sanitize_links(NodeStore &nodes, const std::atomic<bool> &stop) {
    return base::guarded([&]() -> Result<SanitizeReport> {
        if (nodes.shared().linked.load(std::memory_order_acquire) > nodes.mapped_slots())
            return Status(Code::corrupt, "more nodes are linked than there are slots");
        return Sanitizer(nodes).run(stop);
    });
}

}  // namespace dvec::graph
