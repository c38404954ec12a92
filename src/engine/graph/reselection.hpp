// Who stays in a full link list that gets one more: the choice and the rewriting of the list. Used
// by the linker under the lock of the list's node.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "engine/graph/format.hpp"

namespace dvec::graph {

// Per node, how many level-0 links lead to it, as far as one linker has seen. It serves only to
// spare a node's last link, so it may be too high, as it is for nodes linked before. Any thread;
// resize() and the like alone.
class InboundCounts {
  public:
    void resize(std::size_t nodes) { counts_.resize(nodes, 0); }
    void begin_at_zero(NodeId id) { counts_[id] = 0; }
    // For a node of a graph taken over: counting its links would mean reading all lists.
    void assume_many(NodeId id) { counts_[id] = std::uint32_t{1} << 30; }

    void add(NodeId id) noexcept {
        std::atomic_ref(counts_[id]).fetch_add(1, std::memory_order_relaxed);
    }
    // Gives up one link to a node; false, and nothing done, when it is the last. Of two threads
    // that hold the last two, one is told so.
    bool release(NodeId id) noexcept {
        std::atomic_ref count(counts_[id]);
        const std::uint32_t before = count.fetch_sub(1, std::memory_order_relaxed);
        if (before > 1)
            return true;
        count.fetch_add(1, std::memory_order_relaxed);
        return before == 0;  // a stale link that was never counted
    }

  private:
    std::vector<std::uint32_t> counts_;
};

// One selection at a time; memory is kept from one to the next.
class Reselection {
  public:
    struct Member {
        float distance;  // to the list's node
        NodeId id;
        bool settled;  // kept by an earlier selection, together with all others that are settled

        bool operator<(const Member &other) const {
            return distance < other.distance || (distance == other.distance && id < other.id);
        }
    };

    // Begins a selection of at most `limit` among the members added next.
    void begin(std::size_t limit) {
        limit_ = limit;
        members_.clear();
        kept_.clear();
    }
    void add(const Member &member) { members_.push_back(member); }

    // The rule of hnswlib's heuristic (Malkov & Yashunin 2018, algorithm 4): from the nearest on,
    // keep who is nearer to the node than to everyone kept so far. Two settled members need no
    // comparison; as most members of a full list are settled, that saves most distances. `between`
    // gives the distance of two ids.
    template <class Between>
    void keep_diverse(Between between) {
        std::sort(members_.begin(), members_.end());
        for (const Member &member : members_) {
            if (kept_.size() == limit_)
                break;
            const bool crowded = std::any_of(kept_.begin(), kept_.end(), [&](const Member &other) {
                return !(member.settled && other.settled) &&
                       between(other.id, member.id) < member.distance;
            });
            if (!crowded)
                kept_.push_back(member);
        }
    }

    // A node to which no link leads is found by no walk. So the last link to a node is kept after
    // all, in place of another's that is not the last when there is no room. Gives up the inbound
    // links of the members that are not kept.
    void spare_orphans(InboundCounts &inbound);

    // Makes the kept members the list whose count word is `words` and which is full. Ids that stay
    // keep their place, so that concurrent readers see as little change as possible and few cache
    // lines are written. Returns the new count.
    std::uint32_t store(std::atomic<std::uint32_t> *words);

    const std::vector<Member> &kept() const noexcept { return kept_; }

  private:
    std::size_t limit_ = 0;
    std::vector<Member> members_;
    std::vector<Member> kept_;
    std::vector<Member> spared_;
    std::vector<NodeId> missing_;
};

}  // namespace dvec::graph
