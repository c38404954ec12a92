// A node's links on level 0, for the passes that look for nodes that searches do not find. Such a
// pass is alone among those that write links, while searches read them. Nothing in a list is
// trusted: its count is clamped, and a link leads nowhere whose id is not linked, or is a twin.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "engine/distance/kernel.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/graph/twins.hpp"

namespace dvec::graph {

class NodeLinks {
  public:
    // `nodes` must outlive it, and its mapping stay.
    NodeLinks(const NodeStore &nodes, NodeId node) noexcept
        : nodes_(nodes),
          node_(node),
          words_(&nodes.slot(node)->link_count),
          limit_(nodes.layout().level0_links()) {}

    std::uint32_t count() const noexcept {
        return std::min(words_[0].load(std::memory_order_relaxed), limit_);
    }
    // Where the next link may be added; 0: the list is full.
    std::uint32_t place_left() const noexcept { return count() < limit_ ? count() + 1 : 0; }
    // The id at one of the places from 1 to count().
    NodeId at(std::uint32_t place) const noexcept {
        return words_[place].load(std::memory_order_relaxed);
    }
    // Whether there is a link to an id that this is true for.
    template <class Wanted>
    bool any(Wanted wanted) const {
        for (std::uint32_t place = 1; place <= count(); ++place)
            if (wanted(at(place)))
                return true;
        return false;
    }

    // Stores a link at one of these places, or adds it.
    void put(std::uint32_t place, NodeId to) noexcept {
        words_[place].store(to, std::memory_order_relaxed);
        words_[0].store(std::max(place, count()), std::memory_order_release);
        nodes_.note_links_changed(node_);
    }

    // A link that another one may take the place of: one that leads nowhere, or else the farthest
    // of those for whose ids `may_go` is true. Ids from `linked` on are not linked. 0: there is
    // none.
    template <class MayGo>
    std::uint32_t place_to_spare(const distance::Kernel &kernel, std::uint32_t dimensions,
                                 NodeId linked, MayGo may_go) const {
        std::uint32_t spare = 0;
        float farthest = 0;
        for (std::uint32_t place = 1; place <= count(); ++place) {
            const NodeId to = at(place);
            if (to >= linked || is_twin(nodes_, to))
                return place;
            if (!may_go(to))
                continue;
            const float distance =
                kernel.link_distance()(nodes_.vector(node_), nodes_.vector(to), dimensions);
            if (spare == 0 || distance > farthest) {
                spare = place;
                farthest = distance;
            }
        }
        return spare;
    }

  private:
    const NodeStore &nodes_;
    const NodeId node_;
    std::atomic<std::uint32_t> *const words_;
    const std::uint32_t limit_;
};

}  // namespace dvec::graph
