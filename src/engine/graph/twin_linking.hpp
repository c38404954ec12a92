// The linker's memory of which vectors have a place in the graph, and of the chains of twins
// (twins.hpp). Used by one thread.
#pragma once

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "engine/graph/clump.hpp"
#include "engine/graph/near_copies.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/graph/twin_table.hpp"
#include "engine/graph/twins.hpp"

namespace dvec::graph {

class TwinLinking {
  public:
    struct Twin {
        NodeId id;
        NodeId node;
    };
    // What is to be done at the end of a batch, as noted by a thread that links nodes of the batch.
    struct Changes {
        std::vector<Twin> joined;
        std::vector<NodeId> overcrowded;  // nodes whose near twins are to get places of their own
    };

    // Memory: up to 11.25 bytes per node that has links, and some 60 for each that has twins.
    // `copies` must outlive it. `most_near` as Linker::Params has it.
    TwinLinking(NodeStore &nodes, const NearCopies &copies, std::uint32_t most_near)
        : nodes_(nodes),
          copies_(copies),
          most_near_(most_near != 0 ? most_near : quickly_measured(nodes.layout())) {}

    // Takes over a twin that is linked already. To be called in order of ids. True for a near twin:
    // the caller must enter() that, too.
    bool adopt(NodeId twin) {
        if (!is_live(nodes_.state(twin)))
            return false;
        const NodeId node = named_node(nodes_, twin);
        if (node >= twin)
            return false;
        Chain &chain = chains_[node];
        chain.last = twin;
        const bool near = is_near_twin(nodes_, twin);
        if (near)
            count_near(node, twin, chain);
        return near;
    }

    // Whether the node has as many near twins as one place should have. Where a clump has more,
    // they are shared out among several nodes, and each node is filled before the next one is made.
    // Other threads may call this and join() as long as nothing is adopted or attached. A node may
    // therefore get some more near twins at the end of a batch.
    bool is_full(NodeId node) const { return chain(node).near >= most_near_; }

    // Whether the node `id` becomes a near twin of one of the `nearest` to it, none of which is
    // full.
    bool join(NodeId id, NearestNodes nearest, Changes &changes) const {
        const void *vector = nodes_.vector(id);
        // Twice the reach leaves room for two inaccuracies: the reach of the other nodes is not
        // quite that of this vector, and distances to codes are not quite those to vectors.
        const double reach = 2 * copies_.reach(vector);
        if (nearest.count() == 0 || nearest[0].apart > reach)
            return false;
        nearest.measure(reach,
                        [&](NodeId other) { return copies_.apart(nodes_.vector(other), vector); });
        for (std::size_t i = 0; i < nearest.clump_size(); ++i)
            if (const NodeId node = nearest[i].id;
                node < id && copies_.is_near(nodes_.vector(node), vector)) {
                changes.joined.push_back({id, node});
                return true;
            }
        if (nearest.clump_size() > 0)
            return false;
        // The row becomes a node among vectors that are no clump, and a search must find its way
        // among all of them. So nodes nearby that hold near twins have to give them up.
        for (std::size_t i = 0; i < nearest.count(); ++i) {
            const Chain found = chain(nearest[i].id);
            if (found.near > 0 && nearest[i].apart < 4 * found.radius)
                changes.overcrowded.push_back(nearest[i].id);
        }
        return false;
    }

    // The node whose place has the vector of `id`. When there is none, it is `id` itself, which
    // stands for the vector from now on. `has_place` tells whether a node that is known from before
    // is still a node with links: its batch may have been stopped, or its vector lost.
    template <class HasPlace>
    NodeId enter(NodeId id, HasPlace has_place) {
        const std::size_t bytes = nodes_.layout().vector_bytes;
        const NodeId found = table_.find_or_enter(
            nodes_.vector_hash(id), id,
            [&](NodeId other) {
                return std::memcmp(nodes_.vector(other), nodes_.vector(id), bytes) == 0;
            },
            [&](NodeId other) { return other <= id && has_place(place_of_linked(other)); });
        const NodeId place = place_of_linked(found);
        // Happens only when somebody else has written into the files.
        if (place != found && !copies_.is_near(nodes_.vector(place), nodes_.vector(id)))
            return id;
        return place;
    }

    // A batch: begin_batch(), then the twins by add(), then attach() at the end, before readers see
    // any of them as linked. The node that a twin was given may itself become a near twin in the
    // same batch.
    void begin_batch(NodeId first) {
        batch_ = {};
        first_ = first;
    }
    void add(Twin twin) { batch_.joined.push_back(twin); }
    void add(const Changes &changes) {
        batch_.joined.insert(batch_.joined.end(), changes.joined.begin(), changes.joined.end());
        batch_.overcrowded.insert(batch_.overcrowded.end(), changes.overcrowded.begin(),
                                  changes.overcrowded.end());
    }
    // Returns the nodes whose near twins are to be released.
    const std::vector<NodeId> &attach() {
        auto &[joined, overcrowded] = batch_;
        std::sort(joined.begin(), joined.end(),
                  [](const Twin &a, const Twin &b) { return a.id < b.id; });
        for (const Twin &twin : joined) {
            const NodeId node = std::min(place_of(nodes_, twin.node), twin.node);
            attach_one(twin.id, node);
        }
        std::sort(overcrowded.begin(), overcrowded.end());
        overcrowded.erase(std::unique(overcrowded.begin(), overcrowded.end()), overcrowded.end());
        return overcrowded;
    }
    void attach_one(NodeId twin, NodeId node) {
        Chain &chain = chains_.try_emplace(node, Chain{node}).first->second;
        find_last(node, twin, chain.last);
        const bool equal = std::memcmp(nodes_.vector(twin), nodes_.vector(node),
                                       nodes_.layout().vector_bytes) == 0;
        append_twin(nodes_, node, chain.last, twin, equal ? TwinVector::equal : TwinVector::near);
        chain.last = twin;
        if (!equal)
            count_near(node, twin, chain);
    }

    // Takes the near twins below `bound` out of the node's chain; returns the live ones, in order
    // of ids. Each is to be linked, or attached to another node, at once.
    std::vector<NodeId> release(NodeId node, NodeId bound) {
        std::vector<NodeId> released = release_near_twins(nodes_, node, bound);
        Chain &chain = chains_[node] = Chain{node};
        for (NodeId next; (next = next_twin(nodes_, node, chain.last, bound)) != nobody;)
            chain.last = next;
        return released;
    }

  private:
    struct Chain {
        NodeId last = nobody;
        std::uint32_t near = 0;  // so many near twins
        double radius = 0;       // how far apart from the node they are at most
    };

    // Slots of the batch, and those behind it, may still look like the twins that they were before
    // a crash.
    NodeId place_of_linked(NodeId id) const {
        return id < first_ ? std::min(place_of(nodes_, id), id) : id;
    }

    void count_near(NodeId node, NodeId twin, Chain &chain) {
        ++chain.near;
        chain.radius =
            std::max(chain.radius, copies_.apart(nodes_.vector(node), nodes_.vector(twin)));
    }

    // Looks for the end of the chain again if the row of `last` is gone: such a twin may have been
    // taken out of the chain (tidy_twins).
    void find_last(NodeId node, NodeId bound, NodeId &last) const {
        if (last == node || is_live(nodes_.state(last)))
            return;
        last = node;
        for (NodeId next; (next = next_twin(nodes_, node, last, bound)) != nobody;)
            last = next;
    }

    Chain chain(NodeId node) const {
        const auto found = chains_.find(node);
        return found == chains_.end() ? Chain{} : found->second;
    }

    // Measuring all near twins of a node must not take much longer than a search. A step along the
    // chain reads the lines of the links beside what is measured.
    static std::uint32_t quickly_measured(const Layout &layout) {
        constexpr std::uint32_t bytes = std::uint32_t{8} << 20;
        constexpr std::uint32_t bytes_of_links = 2 * cache_line;
        return std::max<std::uint32_t>(bytes / (bytes_of_links + layout.measured_bytes()), 1024);
    }

    NodeStore &nodes_;
    const NearCopies &copies_;
    const std::uint32_t most_near_;  // that share a node
    TwinTable table_;
    std::unordered_map<NodeId, Chain> chains_;  // of the nodes that have twins
    Changes batch_;
    NodeId first_ = 0;  // of the batch
};

}  // namespace dvec::graph
