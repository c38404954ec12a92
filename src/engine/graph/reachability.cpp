// The tree of the breadth-first walk is kept, since a link may be replaced only if it is no branch
// of that tree.
#include "engine/graph/reachability.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <unordered_set>
#include <vector>

#include "engine/graph/graph_walk.hpp"
#include "engine/graph/node_links.hpp"
#include "engine/graph/search_context.hpp"
#include "engine/graph/twins.hpp"

namespace dvec::graph {

using base::Code;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t nodes_per_poll = 4096;
// How far ahead of the walk the lists are fetched.
constexpr std::size_t prefetched_ahead = 8;
// Near duplicates of length 1 may be nearer to each other than to themselves by so much.
constexpr float rounding = 1e-5f;
// How many links to itself a node that was cut off gets at most, and how many such links one node
// gives at most: a group with more entrances is found more easily, but each entrance costs a node
// one of its links.
constexpr unsigned links_taken = 2;
constexpr std::uint8_t links_given_by_one = 1;
// For a twin, parents_ holds the node whose chain it is in, with this mark.
constexpr NodeId chained = 0x80000000u;

class Reachability {
  public:
    Reachability(NodeStore &nodes, const ReachabilityParams &params,
                 const std::function<bool()> &stop)
        : nodes_(nodes),
          params_(params),
          stop_(stop),
          linked_(nodes.shared().linked.load(std::memory_order_acquire)),
          entry_(EntryPoint::unpack(nodes.shared().entry_point.load(std::memory_order_acquire))),
          list_lines_(nodes.layout().link_lines()) {}

    // The nodes with live rows that were not met on a walk from the entry point. Twins that no
    // chain leads to are counted as strays_.
    Result<std::vector<NodeId>> find_lost() {
        if (linked_ > nodes_.mapped_slots())
            return Status(Code::corrupt, "more nodes are linked than there are slots");
        std::vector<NodeId> lost;
        if (!has_entry())
            return lost;
        parents_.assign(linked_, nobody);
        met_.clear();
        met_.reserve(linked_);
        DVEC_TRY(spread(entry_.id, entry_.id));
        strays_ = 0;
        noted_.clear();
        for (NodeId id = 0; id < linked_; ++id)
            if (parents_[id] == nobody && is_live(nodes_.state(id)))
                note_lost(id, lost);
        return lost;
    }
    std::uint32_t strays() const noexcept { return strays_; }
    bool has_entry() const noexcept { return entry_.level >= 0 && entry_.id < linked_; }
    std::uint32_t count_live() const noexcept {
        std::uint32_t live = 0;
        for (NodeId id = 0; id < linked_; ++id)
            live += is_live(nodes_.state(id)) ? 1 : 0;
        return live;
    }

    // `stop` must be the flag that stop_() asks.
    Result<ReachabilityReport> connect_lost(const std::atomic<bool> &stop) {
        auto found = find_lost();
        if (found.ok() && strays_ > 0) {
            auto tidied = tidy_twins(nodes_, TwinCheck::vectors, stop);
            DVEC_TRY(tidied);
            found = find_lost();
        }
        DVEC_TRY(found);
        const std::vector<NodeId> &lost = found.value();
        if (!lost.empty())
            links_to_give_.resize(linked_, 0);
        if (!lost.empty())
            for (const NodeId id : met_)
                links_to_give_[id] = links_given_by_one;
        for (const NodeId id : lost)
            DVEC_TRY(connect(id));
        DVEC_TRY(lead_back());
        return report_;
    }

  private:
    NodeLinks links(NodeId id) const noexcept { return NodeLinks(nodes_, id); }

    // Meets every node that links lead to from `root` and that was not met before.
    Status spread(NodeId root, NodeId parent) {
        std::size_t next = met_.size();
        parents_[root] = parent;
        met_.push_back(root);
        for (; next < met_.size(); ++next) {
            if (next % nodes_per_poll == 0 && stop_())
                return Status(Code::interrupted, "following links was stopped");
            if (next + prefetched_ahead < met_.size())
                prefetch_lines(
                    reinterpret_cast<const std::byte *>(nodes_.slot(met_[next + prefetched_ahead])),
                    list_lines_);
            const NodeId id = met_[next];
            if (is_twin(nodes_, id)) {
                // A link from before a crash led here. A twin has no links, so the walk does not go
                // on from it.
                if (!in_chain(id))
                    parents_[id] = nobody;
                continue;
            }
            mark_chain(id);
            const NodeLinks from = links(id);
            const std::uint32_t count = from.count();
            for (std::uint32_t place = 1; place <= count; ++place) {
                const NodeId target = from.at(place);
                if (target < linked_ && parents_[target] == nobody) {
                    parents_[target] = id;
                    met_.push_back(target);
                }
            }
        }
        return {};
    }

    // Notes a live row that was not met: its node is lost, or the row should be in the chain of a
    // node and is not. To be called in ascending order of ids. From now on the twins in the chain
    // of a lost node have a parent.
    void note_lost(NodeId id, std::vector<NodeId> &lost) {
        const NodeId node = place_of(nodes_, id);
        const bool may_belong = id == node || (node < id && !is_twin(nodes_, node) &&
                                               parents_[node] == nobody && !noted_.contains(node));
        if (may_belong) {
            noted_.insert(node);
            mark_chain(node);
        }
        if (id != node && !in_chain(id))
            ++strays_;
        if (may_belong && (id == node || in_chain(id)) && !outshone(node))
            lost.push_back(node);
    }

    void mark_chain(NodeId node) {
        if ((state_flags(nodes_.state(node)) & slot_hole) != 0)
            return;
        for (NodeId twin = node; (twin = next_twin(nodes_, node, twin, linked_)) != nobody;)
            parents_[twin] = node | chained;
    }
    bool in_chain(NodeId id) const {
        return parents_[id] != nobody && (parents_[id] & chained) != 0;
    }

    // Whether the node's links lead to M / 2 others, or more, that are all nearer to its own vector
    // than it is. Where distances are a metric there is no such node. By inner product these are
    // the short vectors: they are the answer to hardly any query, and links to them would crowd out
    // the links that searches follow.
    bool outshone(NodeId id) const {
        const NodeLinks from = links(id);
        const auto from_it = [&](NodeId other) {
            return params_.kernel.link_distance()(nodes_.vector(id), nodes_.vector(other),
                                                  params_.dimensions);
        };
        const float own = from_it(id);
        const float bound = own - rounding * std::abs(own);
        return from.count() >= nodes_.layout().m / 2 && !from.any([&](NodeId other) {
            return other >= linked_ || !(from_it(other) < bound);
        });
    }

    // Gives links even to a node that the walk has met meanwhile by way of others of its group: a
    // single entrance to a large group is too few for searches to find.
    Status connect(NodeId id) {
        if (stop_())
            return Status(Code::interrupted, "connecting nodes was stopped");
        // The way down through the upper levels finds nearer nodes, but may end among nodes that
        // cannot be reached. A search that begins at the entry point on level 0 finds only nodes
        // that can be reached.
        for (const int level : {entry_.level, 0}) {
            DVEC_TRY(find_near(id, level));
            const bool was_met = parents_[id] != nobody;
            take_links(id);
            if (parents_[id] == nobody)
                continue;
            ++report_.connected;
            return was_met ? Status() : spread(id, parents_[id]);
        }
        // The lists of all nearby nodes are full of branches. The nodes met last have hardly any
        // branches in theirs.
        for (std::size_t i = met_.size(); i-- > 0 && parents_[id] == nobody;)
            if (add_link(met_[i], id))
                become_child(id, met_[i]);
        ++report_.connected;
        return spread(id, parents_[id]);
    }

    // Puts into near_ what a search for the node finds that begins on this level, nearest first.
    Status find_near(NodeId id, int level) {
        context_.begin(nodes_, {linked_, linked_, {entry_.id, level}}, params_.kernel,
                       params_.dimensions, nodes_.vector(id));
        walk_.start(context_, params_.ef);
        DVEC_TRY(walk_.run_round(0));
        near_.clear();
        for (std::size_t i = 0; i < walk_.results().size(); ++i)
            if (const NodeId near = candidate_id(walk_.results()[i]); near != id)
                near_.push_back(near);
        return {};
    }

    // Every node met gets a way back to the entry point. Nodes are looked at in the order in which
    // they were met: nearly all have a link to one that was met before and leads back.
    Status lead_back() {
        if (met_.empty())
            return {};
        std::vector<bool> leads_back(linked_);
        leads_back[entry_.id] = true;
        std::vector<NodeId> open = met_;
        for (bool stuck = false; !open.empty();) {
            const std::size_t before = open.size();
            std::size_t kept = 0;
            for (std::size_t i = 0; i < before; ++i) {
                if (i % nodes_per_poll == 0 && stop_())
                    return Status(Code::interrupted, "connecting nodes was stopped");
                const NodeId id = open[i];
                if (leads_back[id] || is_twin(nodes_, id))
                    continue;
                if (leads_to_any(id, leads_back) || (stuck && give_way_back(id, leads_back)))
                    leads_back[id] = true;
                else
                    open[kept++] = id;
            }
            open.resize(kept);
            // A pass that made no progress is followed by one that gives new links, so that only
            // nodes that need one get it.
            if (stuck && kept == before)
                break;
            stuck = kept == before;
        }
        return {};
    }

    bool leads_to_any(NodeId id, const std::vector<bool> &wanted) const {
        return links(id).any([&](NodeId target) { return target < linked_ && wanted[target]; });
    }

    bool give_way_back(NodeId id, const std::vector<bool> &leads_back) {
        const NodeId parent = parents_[id];
        if (parent == nobody || !leads_back[parent] || !add_link(id, parent))
            return false;
        ++report_.returned;
        return true;
    }

    // Gives the node links from the nearest nodes that could be reached from the beginning, and
    // adds one link back. If no such node can give a link, any node that is reached by now will do.
    void take_links(NodeId id) {
        unsigned taken = 0;
        for (const NodeId near : near_)
            if (taken < links_taken && links_to_give_[near] > 0 && add_link(near, id)) {
                --links_to_give_[near];
                ++taken;
                become_child(id, near);
            }
        for (const NodeId near : near_)
            if (parents_[id] == nobody && parents_[near] != nobody && add_link(near, id))
                become_child(id, near);
    }

    void become_child(NodeId id, NodeId parent) {
        if (parents_[id] != nobody)
            return;
        parents_[id] = parent;
        add_link(id, parent);
    }

    // False when the list is full of branches.
    bool add_link(NodeId from, NodeId to) {
        NodeLinks list = links(from);
        if (list.any([to](NodeId target) { return target == to; }))
            return true;
        std::uint32_t place = list.place_left();
        if (place == 0)
            place = list.place_to_spare(
                params_.kernel, params_.dimensions, linked_,
                [this, from](NodeId target) { return parents_[target] != from; });
        if (place != 0)
            list.put(place, to);
        return place != 0;
    }

    NodeStore &nodes_;
    const ReachabilityParams &params_;
    const std::function<bool()> &stop_;
    const NodeId linked_;
    const EntryPoint entry_;
    const std::size_t list_lines_;
    std::vector<NodeId> parents_;  // in the walk's tree, of every node met; of twins: chained
    std::vector<NodeId> met_;      // in the order in which they were
    std::vector<std::uint8_t> links_to_give_;  // to nodes that were not met at first, by id
    std::vector<NodeId> near_;
    SearchContext context_;
    GraphWalk walk_;
    std::unordered_set<NodeId> noted_;  // places of rows that were not met
    std::uint32_t strays_ = 0;
    ReachabilityReport report_;
};

}  // namespace

Result<std::uint32_t> count_unreachable(NodeStore &nodes, const ReachabilityParams &params,
                                        const std::function<bool()> &interrupted) {
    return base::guarded([&]() -> Result<std::uint32_t> {
        Reachability reachability(nodes, params, interrupted);
        auto lost = reachability.find_lost();
        DVEC_TRY(lost);
        if (!reachability.has_entry())
            return reachability.count_live();
        return static_cast<std::uint32_t>(lost.value().size()) + reachability.strays();
    });
}

Result<ReachabilityReport> connect_unreachable(NodeStore &nodes, const ReachabilityParams &params,
                                               const std::atomic<bool> &stop) {
    return base::guarded([&]() -> Result<ReachabilityReport> {
        const std::function<bool()> stopped = [&] { return stop.load(std::memory_order_relaxed); };
        return Reachability(nodes, params, stopped).connect_lost(stop);
    });
}

}  // namespace dvec::graph
