// Links one node into the graph (Malkov & Yashunin 2018, algorithm 1): looks for its neighbours on
// each level, chooses among them, and stores the links in both directions. Or finds that the row is
// a near copy of a clump of nodes, and is to become a near twin of one of them.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "engine/graph/candidate_search.hpp"
#include "engine/graph/format.hpp"
#include "engine/graph/link_lists.hpp"
#include "engine/graph/neighbour_selection.hpp"
#include "engine/graph/node_distances.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/graph/prefetch.hpp"
#include "engine/graph/twin_linking.hpp"

namespace dvec::graph {

template <class Lists>  // LinkLists
class NodeLinking {
  public:
    // The neighbours that were chosen for a new node on one level, in each part the nearest first.
    struct Selection {
        std::vector<NodeId> ids;
        typename Lists::Settled settled;  // the first of them
    };
    // What one thread needs. Its memory is kept from node to node.
    struct Scratch {
        std::vector<Selection> selections;  // by level
        std::vector<NodeId> list;
        NeighbourSelection choice;
        CandidateSearch search;
        TwinLinking::Changes twins;  // what is to be done when the batch is linked
    };
    // Whether the row may become a near twin of a node that was found.
    enum class Joining : std::uint8_t { allowed, refused };

    // What is referred to must outlive it.
    NodeLinking(NodeStore &nodes, Lists &lists, NodeDistances &distances, const TwinLinking &twins,
                std::uint32_t ef_construction);

    // Walks begin at the entry point. It moves when a node has more levels than all before.
    void begin_batch(EntryPoint entry) noexcept;
    std::uint64_t entry_point() const noexcept { return entry_.load(std::memory_order_relaxed); }

    // By any number of threads, each with a Scratch of its own. The node has its level and its
    // empty lists (LinkLists).
    void link(NodeId id, Joining joining, Scratch &scratch);

  private:
    using Before = NeighbourSelection::Before;

    // What a walk on one level sees of the graph.
    struct LevelView;

    // So many places of a list are filled with neighbours that are diverse or slightly crowded,
    // where there are as many. The rest is for links from nodes to come: a full list has to be
    // chosen anew for each of them.
    static constexpr std::uint32_t filled_places(std::uint32_t limit) { return limit - limit / 4; }

    static typename Lists::Settled settled_by(const NeighbourSelection &choice) {
        return {static_cast<std::uint8_t>(choice.diverse()),
                static_cast<std::uint8_t>(choice.slightly_crowded())};
    }

    NodeId find_neighbours(NodeId from, NodeId id, int level, Scratch &scratch);
    void store_own_links(NodeId id, int level, const Selection &selection, Scratch &scratch);
    void link_back(NodeId neighbour, NodeId id, int level, Scratch &scratch);
    void reselect(NodeId node, NodeId added, int level, Scratch &scratch);

    NodeStore &nodes_;
    Lists &lists_;
    NodeDistances &distances_;
    const TwinLinking &twins_;
    const std::uint32_t ef_construction_;
    const std::size_t measured_lines_;  // of what is measured, cache lines worth prefetching
    std::atomic<std::uint64_t> entry_{0};
    // Held by a node that raises the top level, from reading the entry point until it is the entry
    // point itself.
    std::mutex top_;
};

template <class Lists>
struct NodeLinking<Lists>::LevelView {
    const NodeLinking &linking;
    NodeId node;  // whose neighbours are looked for
    int level;

    const LinkWord *list(NodeId id) const { return linking.lists_.list(id, level); }
    std::uint32_t limit() const { return linking.lists_.limit(level); }
    // Every id has a list on level 0, if only an empty one, and it costs less to read that than to
    // ask whether the id is a node. On the levels above there are few ids, and each is asked.
    bool followable(NodeId id) const {
        return id < linking.lists_.batch_end() &&
               (level == 0 || linking.lists_.usable(id, node, level));
    }
    Candidate measure(NodeId id) const {
        return make_candidate(linking.distances_.between(node, id), id);
    }
    [[gnu::always_inline]] void prefetch(NodeId id) const {
        prefetch_lines(linking.lists_.measured(id), linking.measured_lines_);
    }
    [[gnu::always_inline]] void prefetch_list(NodeId id) const {
        if (level == 0)
            prefetch_lines(linking.nodes_.slot(id), linking.nodes_.layout().link_lines());
    }
};

template <class Lists>
NodeLinking<Lists>::NodeLinking(NodeStore &nodes, Lists &lists, NodeDistances &distances,
                                const TwinLinking &twins, std::uint32_t ef_construction)
    : nodes_(nodes),
      lists_(lists),
      distances_(distances),
      twins_(twins),
      ef_construction_(std::max(ef_construction, nodes.layout().m)),
      measured_lines_(
          lines_ahead(nodes.layout().measured_offset(), nodes.layout().measured_bytes())) {}

template <class Lists>
void NodeLinking<Lists>::begin_batch(EntryPoint entry) noexcept {
    entry_.store(EntryPoint::pack(entry), std::memory_order_relaxed);
}

// First the candidates on all levels are looked for, from the top down. Then the links are stored,
// from level 0 up, so that whoever finds the node on one level finds it connected on every level
// below. A row that becomes a near twin gets no links. No thread holds the lock of a node while it
// waits for another lock, so there is no deadlock: `top_` is taken before any of them, and only by
// a node that raises the top level.
template <class Lists>
void NodeLinking<Lists>::link(NodeId id, Joining joining, Scratch &scratch) {
    const int level = lists_.level(id);
    std::unique_lock<std::mutex> top(top_, std::defer_lock);
    auto entry = EntryPoint::unpack(entry_.load(std::memory_order_acquire));
    if (level > entry.level) {
        top.lock();
        entry = EntryPoint::unpack(entry_.load(std::memory_order_acquire));
        if (level <= entry.level)
            top.unlock();
    }

    const int shared_levels = std::min(level, entry.level) + 1;
    if (scratch.selections.size() < static_cast<std::size_t>(shared_levels))
        scratch.selections.resize(static_cast<std::size_t>(shared_levels));
    NodeId near = entry.id;
    for (int above = entry.level; above > level; --above)
        near = CandidateSearch::descend(LevelView{*this, id, above}, near);
    for (int at = shared_levels - 1; at >= 0; --at)
        near = find_neighbours(near, id, at, scratch);
    const auto joinable = [&](NodeId other) {
        return lists_.usable(other, id, 0) && !twins_.is_full(other);
    };
    if (shared_levels > 0 && joining == Joining::allowed &&
        twins_.join(id, distances_.least_apart(id, scratch.search.found(), joinable),
                    scratch.twins))
        return;

    for (int at = 0; at < shared_levels; ++at) {
        const Selection &selection = scratch.selections[static_cast<std::size_t>(at)];
        store_own_links(id, at, selection, scratch);
        for (const NodeId neighbour : selection.ids)
            link_back(neighbour, id, at, scratch);
    }
    if (level > entry.level)
        entry_.store(EntryPoint::pack({id, level}), std::memory_order_release);
}

// Fills scratch.selections[level] and returns where the walk on the next level begins.
//
// Candidates that lie in different directions are often far fewer than M. With these alone, hardly
// any links lead to some parts of the graph when data are clustered. So slightly crowded ones take
// the next places, as far as a list is to be filled; where there are too few of them, the nearest
// of the others fill the selection up to M, as Malkov & Yashunin's algorithm 4 allows. Where more
// than that are diverse, all that the list has room for are taken.
template <class Lists>
NodeId NodeLinking<Lists>::find_neighbours(NodeId from, NodeId id, int level, Scratch &scratch) {
    Selection &selection = scratch.selections[static_cast<std::size_t>(level)];
    selection.ids.clear();
    NeighbourSelection &choice = scratch.choice;
    choice.begin(lists_.limit(level));
    NodeId nearest = from;
    const Beam &found = scratch.search.run(LevelView{*this, id, level}, from, ef_construction_);
    for (std::size_t i = found.size(); i-- > 0;)
        if (const NodeId candidate = candidate_id(found[i]); lists_.usable(candidate, id, level)) {
            choice.add({candidate_distance(found[i]), candidate});
            nearest = candidate;
        }
    distances_.choose(id, filled_places(lists_.limit(level)), choice);
    choice.fill_up(nodes_.layout().m);
    for (const auto &member : choice.kept())
        selection.ids.push_back(member.id);
    selection.settled = settled_by(choice);
    // None of what is near can be linked to. A link to the node where the walk began leads on, at
    // least; without any the new node would be lost.
    if (selection.ids.empty() && lists_.usable(from, id, level))
        selection.ids.push_back(from);
    return nearest;
}

// A link from before a crash may have led other threads to this node before its turn, and they may
// have stored links in its list. Those are kept, behind the selected ones.
template <class Lists>
void NodeLinking<Lists>::store_own_links(NodeId id, int level, const Selection &selection,
                                         Scratch &scratch) {
    const std::lock_guard hold(lists_.lock(id));
    LinkWord *words = lists_.list(id, level);
    const std::uint32_t limit = lists_.limit(level);
    auto &links = scratch.list;
    links = selection.ids;
    const auto existing = std::min(words[0].load(std::memory_order_relaxed), limit);
    for (std::uint32_t i = 1; i <= existing && links.size() < limit; ++i) {
        const NodeId other = words[i].load(std::memory_order_relaxed);
        if (std::find(links.begin(), links.end(), other) == links.end())
            links.push_back(other);
    }
    for (std::size_t i = 0; i < links.size(); ++i)
        words[i + 1].store(links[i], std::memory_order_relaxed);
    words[0].store(static_cast<std::uint32_t>(links.size()), std::memory_order_release);
    if (level == 0) {
        nodes_.note_links_changed(id);
        lists_.settled(id) = selection.settled;
        // A row that was a twin until now is a node to readers from here on, so the list comes
        // first.
        nodes_.slot(id)->twin.store(0, std::memory_order_release);
    }
}

template <class Lists>
void NodeLinking<Lists>::link_back(NodeId neighbour, NodeId id, int level, Scratch &scratch) {
    const std::lock_guard hold(lists_.lock(neighbour));
    LinkWord *words = lists_.list(neighbour, level);
    const std::uint32_t limit = lists_.limit(level);
    const std::uint32_t count = std::min(words[0].load(std::memory_order_relaxed), limit);
    // The link may be there already, from before a crash.
    for (std::uint32_t i = 1; i <= count; ++i)
        if (words[i].load(std::memory_order_relaxed) == id)
            return;
    if (count < limit) {
        words[count + 1].store(id, std::memory_order_relaxed);
        words[0].store(count + 1, std::memory_order_release);
    } else {
        reselect(neighbour, id, level, scratch);
    }
    if (level == 0)
        nodes_.note_links_changed(neighbour);
}

// Chooses anew among the members of a full list and one more. Under the lock of the list's node.
template <class Lists>
void NodeLinking<Lists>::reselect(NodeId node, NodeId added, int level, Scratch &scratch) {
    LinkWord *words = lists_.list(node, level);
    const std::uint32_t limit = lists_.limit(level);
    const auto settled = level == 0 ? lists_.settled(node) : typename Lists::Settled{};
    const auto before = [settled](std::uint32_t place) {
        if (place <= settled.diverse)
            return Before::diverse;
        return place <= std::uint32_t{settled.diverse} + settled.slightly_crowded
                   ? Before::slightly_crowded
                   : Before::nothing;
    };
    for (std::uint32_t i = 1; i <= limit; ++i)
        __builtin_prefetch(lists_.measured(words[i].load(std::memory_order_relaxed)));
    NeighbourSelection &choice = scratch.choice;
    choice.begin(limit);
    choice.add({distances_.between(node, added), added});
    for (std::uint32_t i = 1; i <= limit; ++i) {
        const NodeId other = words[i].load(std::memory_order_relaxed);
        if (lists_.linkable(other, node, level))
            choice.add({distances_.between(node, other), other, before(i)});
    }
    distances_.choose(node, filled_places(limit), choice);
    choice.store(words);
    if (level == 0)
        lists_.settled(node) = settled_by(choice);
}

}  // namespace dvec::graph
