// The linker's memory of which vectors have a place in the graph, and of the chains of twins
// (twins.hpp). Used by one thread.
#pragma once

#include <cstring>
#include <unordered_map>
#include <vector>

#include "engine/graph/node_store.hpp"
#include "engine/graph/twin_table.hpp"
#include "engine/graph/twins.hpp"

namespace dvec::graph {

class TwinLinking {
  public:
    // Memory: up to 26 bytes per node that has links.
    explicit TwinLinking(NodeStore &nodes) : nodes_(nodes) {}

    // Takes over a twin that is linked; in order of ids.
    void adopt(NodeId twin) {
        if (is_live(nodes_.state(twin)))
            last_[named_node(nodes_, twin)] = twin;
    }

    // The node that has the vector of `id`; `id` itself, which has it from now on, when there is
    // none. `has_place` tells of a node known from before whether it still is one with links: a
    // batch may have been stopped, or a vector lost.
    template <class HasPlace>
    NodeId enter(NodeId id, HasPlace has_place) {
        const std::size_t bytes = nodes_.layout().vector_bytes;
        return table_.find_or_enter(
            nodes_.vector_hash(id), id,
            [&](NodeId other) {
                return std::memcmp(nodes_.vector(other), nodes_.vector(id), bytes) == 0;
            },
            [&](NodeId node) { return node <= id && has_place(node); });
    }

    // A batch: its twins, in order of ids, and the end, when no reader takes them for linked yet.
    void begin_batch() { batch_.clear(); }
    void add(NodeId twin, NodeId node) { batch_.push_back({twin, node}); }
    void attach() {
        for (const auto [twin, node] : batch_) {
            NodeId &last = last_.try_emplace(node, node).first->second;
            find_last(node, twin, last);
            append_twin(nodes_, node, last, twin);
            last = twin;
        }
    }

  private:
    // A twin whose row is gone may have left the chain (tidy_twins).
    void find_last(NodeId node, NodeId bound, NodeId &last) const {
        if (last == node || is_live(nodes_.state(last)))
            return;
        last = node;
        for (NodeId next; (next = next_twin(nodes_, node, last, bound)) != nobody;)
            last = next;
    }

    struct Twin {
        NodeId id;
        NodeId node;
    };

    NodeStore &nodes_;
    TwinTable table_;
    std::unordered_map<NodeId, NodeId> last_;  // of the chain of a node that has twins
    std::vector<Twin> batch_;
};

}  // namespace dvec::graph
