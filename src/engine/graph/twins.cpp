// The pass over all chains. It builds each chain anew from what the twins themselves say, in the
// order of ids, and stores the words that differ.
#include "engine/graph/twins.hpp"

#include <cstring>
#include <unordered_map>
#include <utility>
#include <vector>

namespace dvec::graph {

using base::Code;
using base::Result;
using base::Status;

namespace {

constexpr NodeId slots_ahead = 16;

class Tidying {
  public:
    Tidying(NodeStore &nodes, TwinCheck check)
        : nodes_(nodes),
          check_(check),
          linked_(nodes.shared().linked.load(std::memory_order_acquire)) {}

    Result<TwinReport> run(const std::atomic<bool> &stop) {
        if (linked_ > nodes_.mapped_slots())
            return Status(Code::corrupt, "more nodes are linked than there are slots");
        for (NodeId id = 0; id < linked_; ++id) {
            if (id % 1024 == 0 && stop.load(std::memory_order_relaxed))
                return Status(Code::interrupted, "looking at twins was stopped");
            if (id + slots_ahead < linked_)
                __builtin_prefetch(nodes_.slot(id + slots_ahead));
            visit(id);
        }
        for (const auto &[node, last] : last_)
            set_next(last, 0);
        for (const NodeId node : chained_)
            if (!last_.contains(node))
                set_next(node, 0);
        return report_;
    }

  private:
    bool has_vector(NodeId id) const {
        return (state_flags(nodes_.state(id)) & (slot_ready | slot_hole)) == slot_ready;
    }
    bool same_vector(NodeId a, NodeId b) const {
        return std::memcmp(nodes_.vector(a), nodes_.vector(b), nodes_.layout().vector_bytes) == 0;
    }

    void visit(NodeId id) {
        const std::uint32_t word = nodes_.slot(id)->twin.load(std::memory_order_relaxed);
        if ((word & twin_mark) == 0) {
            if (word != 0)
                chained_.push_back(id);
            return;
        }
        if (nodes_.slot(id)->link_count.load(std::memory_order_relaxed) != 0) {
            nodes_.slot(id)->link_count.store(0, std::memory_order_relaxed);
            ++report_.repaired;
        }
        if (!is_live(nodes_.state(id)))
            return;
        NodeId node = named_node(nodes_, id);
        if (!belongs(id, node)) {
            node = part(id, node);
            if (node == id)
                return;
        }
        ++report_.twins;
        const auto [last, first] = last_.try_emplace(node, node);
        note_near(first ? id : first_of(node), id, first ? first_near_before(node) : 0);
        set_next(last->second, id + 1);
        last->second = id;
    }

    bool belongs(NodeId id, NodeId node) const {
        return node < id && !is_twin(nodes_, node) && has_vector(node) &&
               (check_ == TwinCheck::membership || is_sound_twin(nodes_, id));
    }

    // The first twin of a chain says where near twins begin. Sets that to the lower of two ids:
    // `id`, if that is a near twin, and the one that the former first twin named, since readers may
    // still come to that twin.
    void note_near(NodeId first, NodeId id, std::uint32_t before) {
        auto &word = nodes_.links(first)[twin_first_near];
        std::uint32_t lowest = first == id ? before : word.load(std::memory_order_relaxed);
        if (is_near_twin(nodes_, id) && (lowest == 0 || lowest > id + 1))
            lowest = id + 1;
        if (word.load(std::memory_order_relaxed) == lowest)
            return;
        word.store(lowest, std::memory_order_release);
        ++report_.repaired;
    }
    NodeId first_of(NodeId node) const {
        return (nodes_.slot(node)->twin.load(std::memory_order_relaxed) & ~twin_mark) - 1;
    }
    std::uint32_t first_near_before(NodeId node) const {
        const NodeId first = next_twin(nodes_, node, node, linked_);
        return first == nobody
                   ? 0
                   : nodes_.links(first)[twin_first_near].load(std::memory_order_relaxed);
    }

    // Gives the twin a place of its own, or that of another twin that has lost the same node and
    // has the same vector; returns the node of that place.
    NodeId part(NodeId id, NodeId lost) {
        ++report_.parted;
        const auto [successor, first] = successors_.try_emplace(lost, id);
        if (!first && same_vector(successor->second, id)) {
            nodes_.links(id)[twin_node_checksum].store(0, std::memory_order_relaxed);
            nodes_.links(id)[0].store(successor->second, std::memory_order_release);
            return successor->second;
        }
        successor->second = id;
        nodes_.slot(id)->twin.store(0, std::memory_order_release);
        return id;
    }

    // `next` is 1 + an id, or 0.
    void set_next(NodeId id, std::uint32_t next) {
        auto &word = nodes_.slot(id)->twin;
        const std::uint32_t before = word.load(std::memory_order_relaxed);
        if (next != 0 && (before & twin_mark) == 0)
            nodes_.note_shared(id);
        if ((before & ~twin_mark) == next)
            return;
        word.store((before & twin_mark) | next, std::memory_order_release);
        ++report_.repaired;
    }

    NodeStore &nodes_;
    const TwinCheck check_;
    const NodeId linked_;
    std::vector<NodeId> chained_;                    // nodes that had a chain
    std::unordered_map<NodeId, NodeId> last_;        // of a node's chain so far
    std::unordered_map<NodeId, NodeId> successors_;  // of nodes that were lost
    TwinReport report_;
};

}  // namespace

void append_twin(NodeStore &nodes, NodeId node, NodeId last, NodeId twin,
                 TwinVector vector) noexcept {
    const bool near = vector == TwinVector::near;
    std::atomic<std::uint32_t> *words = nodes.links(twin);
    // Threads that came to it by stale links may have linked themselves to it.
    nodes.slot(twin)->link_count.store(0, std::memory_order_relaxed);
    words[0].store(node, std::memory_order_relaxed);
    words[twin_first_near].store(last == node && near ? twin + 1 : 0, std::memory_order_relaxed);
    words[twin_node_checksum].store(near ? near_twin_mark(nodes, node) : 0,
                                    std::memory_order_relaxed);
    nodes.slot(twin)->twin.store(twin_mark, std::memory_order_release);
    if (const NodeId first = next_twin(nodes, node, node, twin); near && first != nobody) {
        auto &lowest = nodes.links(first)[twin_first_near];
        if (lowest.load(std::memory_order_relaxed) == 0)
            lowest.store(twin + 1, std::memory_order_release);
    }
    nodes.note_shared(node);
    auto &word = nodes.slot(last)->twin;
    word.store((word.load(std::memory_order_relaxed) & twin_mark) | (twin + 1),
               std::memory_order_release);
}

bool is_sound_twin(const NodeStore &nodes, NodeId twin) noexcept {
    const NodeId node = named_node(nodes, twin);
    return nodes.links(twin)[twin_node_checksum].load(std::memory_order_relaxed) ==
               near_twin_mark(nodes, node) ||
           std::memcmp(nodes.vector(node), nodes.vector(twin), nodes.layout().vector_bytes) == 0;
}

std::vector<NodeId> release_near_twins(NodeStore &nodes, NodeId node, NodeId bound) {
    std::vector<NodeId> released;
    NodeId last = node;
    const auto lead_to = [&](std::uint32_t next) {
        auto &word = nodes.slot(last)->twin;
        const std::uint32_t before = word.load(std::memory_order_relaxed);
        if ((before & ~twin_mark) != next)
            word.store((before & twin_mark) | next, std::memory_order_release);
    };
    for (NodeId id = node; (id = next_twin(nodes, node, id, bound)) != nobody;) {
        if (is_near_twin(nodes, id)) {
            if (is_live(nodes.state(id)))
                released.push_back(id);
            continue;
        }
        // Readers that came to the chain by way of its former first twin measure more than they
        // need to.
        if (last == node)
            nodes.links(id)[twin_first_near].store(0, std::memory_order_release);
        lead_to(id + 1);
        last = id;
    }
    lead_to(0);
    return released;
}

Result<TwinReport> tidy_twins(NodeStore &nodes, TwinCheck check, const std::atomic<bool> &stop) {
    return base::guarded([&]() -> Result<TwinReport> { return Tidying(nodes, check).run(stop); });
}

}  // namespace dvec::graph
