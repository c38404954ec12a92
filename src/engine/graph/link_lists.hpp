// The level, the link lists and the lock of each node, for the linker, which alone changes links.
//
// The lists themselves lie in the mapped files: that of level 0 in the node's slot, those of the
// levels above in its *tower*, consecutive blocks of `upper`, which the slot refers to. What is
// kept in memory here is what the files do not say. hnswlib's class knows where in a slot the
// vector is, and has the locks; its arrays of levels and of pointers to towers would take twelve
// bytes for each row of an index, where one is enough.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "engine/base/status.hpp"
#include "engine/graph/mapped_graph.hpp"
#include "engine/graph/node_store.hpp"

namespace dvec::graph {

using LinkWord = std::atomic<std::uint32_t>;

// Threads may share it while nodes are linked: then only lists and settled counts change, each
// under the lock of its node. Everything else is for one thread that has it to itself.
template <class Graph>  // a hnswlib::HierarchicalNSW: only the file that uses this includes hnswlib
class LinkLists final : private MappedGraph<Graph> {
  public:
    // The level of an id that is no node: a twin, a hole, a row that is gone, or an id that was not
    // linked yet.
    static constexpr int no_node = -1;

    // Memory: 3 bytes for each slot that is mapped, and 40 kB. `nodes` must outlive it.
    explicit LinkLists(NodeStore &nodes);

    // Makes the mapping, and what is kept here, cover the capacity that the files have now.
    base::Status follow_capacity();

    // Takes over a node that is linked already: its level, and its tower if that lies below
    // `blocks`. A node whose tower is gone stays on level 0.
    void adopt(NodeId id, std::uint32_t blocks);

    // Towers for the ids of a batch by their levels. What can fail comes first: reserve_towers()
    // finds space for those that have no tower from before, and changes nothing else. Then, with
    // the capacity followed, empty_lists() gives each its tower and empty lists on all levels.
    base::Status reserve_towers(NodeId first, NodeId end);
    void empty_lists(NodeId first, NodeId end);

    // Ids from `end` on are not linked to until the next batch. If an earlier batch was longer, and
    // was stopped, the links that its nodes have got are removed, so that walks are not led on
    // among nodes that cannot be used.
    void begin_batch(NodeId end);
    NodeId batch_end() const noexcept { return end_; }

    int level(NodeId id) const noexcept { return levels_[id]; }
    // The caller gives it a tower (empty_lists), or the level is 0 or no_node.
    void set_level(NodeId id, int level) noexcept { levels_[id] = static_cast<std::int8_t>(level); }
    // Makes a row that is linked, and was a twin, a node without links on level 0 only.
    void make_node(NodeId id) noexcept;
    // Makes a node of the batch, which nothing links to, an id without links.
    void make_twin(NodeId id) noexcept;

    // The count word of a node's list on one level, which must not be above its own; the ids follow
    // it. Any id below the capacity has a list on level 0, if only an empty one.
    LinkWord *list(NodeId id, int level) noexcept {
        if (level == 0)
            return &nodes_.slot(id)->link_count;
        const std::uint64_t block =
            std::uint64_t{nodes_.slot(id)->upper.load(std::memory_order_relaxed)} +
            static_cast<std::uint32_t>(level);
        // The reference is one more than the first block, which is the list of level 1. It leads
        // beyond the mapping only when somebody else has written into the files.
        return block < 2 || block - 2 >= nodes_.mapped_upper_blocks()
                   ? no_list_.data()
                   : nodes_.upper_block(static_cast<std::uint32_t>(block - 2));
    }
    std::uint32_t limit(int level) const noexcept {
        return level == 0 ? nodes_.layout().level0_links() : nodes_.layout().m;
    }
    // Nodes share locks, since a mutex for each would take more memory than all the rest together.
    // So who holds one must not ask for another: it may be the same.
    std::mutex &lock(NodeId id) noexcept { return link_list_locks_[id % locks]; }
    // What an earlier selection has kept at the head of a level-0 list: so many diverse entries,
    // and behind them so many slightly crowded ones (NeighbourSelection::Before). Under the node's
    // lock. 0 is always right, so the counts need not survive.
    struct Settled {
        std::uint8_t diverse = 0;
        std::uint8_t slightly_crowded = 0;
    };
    Settled &settled(NodeId id) noexcept { return settled_[id]; }

    // Whether `id`, met in a list of `level`, is a node that `self` may be linked to. Links that
    // are out of date lead to ids that are not linked yet, are no nodes, or lie beyond the batch.
    bool linkable(NodeId id, NodeId self, int level) const noexcept {
        return id < end_ && id != self && levels_[id] >= level;
    }
    // The same for a node that is about to get a new link. Of the nodes linked earlier, those that
    // have become holes are known only by their state word. That is a cache line more, which the
    // reselection of links that are there already does without.
    bool usable(NodeId id, NodeId self, int level) const noexcept {
        return linkable(id, self, level) && has_payload(id);
    }
    // Whether the id is a node with links whose vector is there.
    bool is_sound_node(NodeId id) const noexcept { return levels_[id] >= 0 && has_payload(id); }

    // What measuring the node reads first.
    const char *measured(NodeId id) const noexcept { return this->getDataByInternalId(id); }

  private:
    using Graph::link_list_locks_;

    // So many that two threads seldom meet at one by chance.
    static constexpr std::size_t locks = 1024;

    bool has_payload(NodeId id) const noexcept {
        return (state_flags(nodes_.state(id)) & (slot_ready | slot_hole)) == slot_ready;
    }
    void give_tower(NodeId id, std::uint32_t block) noexcept;

    NodeStore &nodes_;
    // In place of a list that is nowhere.
    std::vector<LinkWord> no_list_;
    std::vector<std::int8_t> levels_;
    std::vector<Settled> settled_;
    NodeId end_ = 0;        // of the batch
    NodeId tried_end_ = 0;  // ids below may have links from a batch that was stopped
};

template <class Graph>
LinkLists<Graph>::LinkLists(NodeStore &nodes) : nodes_(nodes), no_list_(nodes.layout().m + 1) {
    const Layout &layout = nodes.layout();
    this->M_ = this->maxM_ = layout.m;
    this->maxM0_ = layout.level0_links();
    this->size_data_per_element_ = layout.stride;
    this->size_links_per_element_ = layout.upper_block_bytes;
    this->offsetLevel0_ = offsetof(SlotHeader, link_count);
    this->offsetData_ = layout.measured_offset();
    this->data_size_ = layout.measured_bytes();
    std::vector<std::mutex>(locks).swap(link_list_locks_);
}

template <class Graph>
base::Status LinkLists<Graph>::follow_capacity() {
    DVEC_TRY(nodes_.refresh());
    this->data_level0_memory_ = reinterpret_cast<char *>(nodes_.slot(0));
    const std::size_t capacity = nodes_.mapped_slots();
    if (capacity > levels_.size()) {
        levels_.resize(capacity, no_node);
        settled_.resize(capacity);
    }
    return {};
}

template <class Graph>
void LinkLists<Graph>::adopt(NodeId id, std::uint32_t blocks) {
    const int level = node_level(id, nodes_.layout().m);
    set_level(id, level > 0 && !nodes_.owned_upper_blocks(id, blocks) ? 0 : level);
}

template <class Graph>
base::Status LinkLists<Graph>::reserve_towers(NodeId first, NodeId end) {
    const std::uint32_t allocated = nodes_.shared().upper_allocated.load(std::memory_order_relaxed);
    const std::uint32_t reusable = std::min(allocated, nodes_.mapped_upper_blocks());
    std::uint32_t fresh = 0;
    for (NodeId id = first; id < end; ++id)
        if (levels_[id] > 0 && !nodes_.owned_upper_blocks(id, reusable))
            fresh += static_cast<std::uint32_t>(levels_[id]);
    return fresh > 0 ? nodes_.reserve_upper_blocks(fresh) : base::Status();
}

template <class Graph>
void LinkLists<Graph>::empty_lists(NodeId first, NodeId end) {
    SharedState &shared = nodes_.shared();
    std::uint32_t allocated = shared.upper_allocated.load(std::memory_order_relaxed);
    const std::uint32_t reusable = std::min(allocated, nodes_.mapped_upper_blocks());
    for (NodeId id = first; id < end; ++id) {
        nodes_.slot(id)->link_count.store(0, std::memory_order_relaxed);
        nodes_.slot(id)->twin.store(0, std::memory_order_relaxed);
        settled_[id] = {};
        if (levels_[id] <= 0) {
            // The blocks that it had before a crash may be given to another node.
            if (auto &upper = nodes_.slot(id)->upper; upper.load(std::memory_order_relaxed) != 0)
                upper.store(0, std::memory_order_relaxed);
            continue;
        }
        if (const auto block = nodes_.owned_upper_blocks(id, reusable)) {
            give_tower(id, *block);
        } else {
            give_tower(id, allocated);
            allocated += static_cast<std::uint32_t>(levels_[id]);
        }
    }
    shared.upper_allocated.store(allocated, std::memory_order_release);
}

template <class Graph>
void LinkLists<Graph>::give_tower(NodeId id, std::uint32_t block) noexcept {
    const auto blocks = static_cast<std::uint32_t>(levels_[id]);
    for (std::uint32_t index = block; index < block + blocks; ++index) {
        LinkWord *words = nodes_.upper_block(index);
        words[0].store(0, std::memory_order_relaxed);
        words[nodes_.layout().owner_word()].store(id + 1, std::memory_order_relaxed);
    }
    nodes_.slot(id)->upper.store(block + 1, std::memory_order_release);
}

template <class Graph>
void LinkLists<Graph>::begin_batch(NodeId end) {
    for (NodeId id = end; id < tried_end_; ++id) {
        nodes_.slot(id)->link_count.store(0, std::memory_order_relaxed);
        set_level(id, no_node);
    }
    tried_end_ = end_ = end;
}

template <class Graph>
void LinkLists<Graph>::make_node(NodeId id) noexcept {
    settled_[id] = {};
    set_level(id, 0);
}

template <class Graph>
void LinkLists<Graph>::make_twin(NodeId id) noexcept {
    set_level(id, no_node);
    nodes_.slot(id)->upper.store(0, std::memory_order_relaxed);
}

}  // namespace dvec::graph
