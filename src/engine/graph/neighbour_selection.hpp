// Which nodes a link list holds: the choice among the candidates of a new node, and among the
// members of a full list that gets one more, and the rewriting of such a list. Used by the linker
// under the lock of the list's node, or before others know the node.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "engine/graph/format.hpp"

namespace dvec::graph {

// One selection at a time; memory is kept from one to the next.
class NeighbourSelection {
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
        diverse_ = 0;
    }
    void add(const Member &member) { members_.push_back(member); }

    // Malkov & Yashunin 2018, algorithm 4: beginning with the nearest member, keep each that is
    // nearer to the node than to every member kept so far. Two settled members need no comparison;
    // most members of a full list are settled, so that saves most distances. `between` gives the
    // distance of two ids.
    //
    // `advantage` gives by how much a kept id is nearer to every other vector than the list's node
    // is, for a reason that is not its direction (at least 0). That much is added to its distance
    // before it can crowd out another member. It is 0 wherever distances are a metric. It is asked
    // for only when it decides.
    template <class Between, class Advantage>
    void keep_diverse(Between between, Advantage advantage) {
        std::sort(members_.begin(), members_.end());
        for (const Member &member : members_) {
            if (kept_.size() == limit_)
                break;
            const bool crowded = std::any_of(kept_.begin(), kept_.end(), [&](const Member &other) {
                if (member.settled && other.settled)
                    return false;
                const float near = between(other.id, member.id);
                return near < member.distance && near + advantage(other.id) < member.distance;
            });
            if (!crowded)
                kept_.push_back(member);
        }
        diverse_ = kept_.size();
    }

    // Adds the nearest of the others until there are so many, which the limit must allow.
    void fill_up(std::size_t count);

    // Writes the kept members to the list whose count word is `words`, which is full. Ids that stay
    // keep their place, so that concurrent readers see as little change as possible and few cache
    // lines are written. Returns the new count.
    std::uint32_t store(std::atomic<std::uint32_t> *words);

    // The diverse members, nearest first, then those added by fill_up(), nearest first.
    const std::vector<Member> &kept() const noexcept { return kept_; }
    std::size_t diverse() const noexcept { return diverse_; }

  private:
    std::size_t limit_ = 0;
    std::size_t diverse_ = 0;
    std::vector<Member> members_;
    std::vector<Member> kept_;
    std::vector<NodeId> missing_;
};

}  // namespace dvec::graph
