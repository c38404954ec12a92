// Which nodes a link list holds: the choice among the candidates of a new node, and among the
// members of a full list that gets one more, and the rewriting of such a list. Used by the linker
// under the lock of the list's node, or before others know the node.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/graph/format.hpp"

namespace dvec::graph {

// One selection at a time; memory is kept from one to the next.
class NeighbourSelection {
  public:
    // How much nearer a kept member is to another member than the list's node is.
    enum class Crowding : std::uint8_t {
        none,    // not at all
        slight,  // so little that a link to the other member may still lead elsewhere
        full     // so much that what the other member leads to is reached by the kept one
    };
    // As what an earlier selection has kept a member, with all others that it kept as the same.
    enum class Before : std::uint8_t { nothing, slightly_crowded, diverse };
    struct Member {
        float distance;  // to the list's node
        NodeId id;
        Before before = Before::nothing;
        Crowding crowding = Crowding::full;  // by the kept ones; of a kept member: none

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
        slightly_crowded_ = 0;
    }
    void add(const Member &member) { members_.push_back(member); }

    // Malkov & Yashunin 2018, algorithm 4: beginning with the nearest member, keep each that is
    // nearer to the node than to every member kept so far. `between` gives the distance of two ids,
    // and `crowds(near, kept, member)` tells how a kept id crowds a member that is `near` to it.
    //
    // What an earlier selection has found out is not asked again, and most members of a full list
    // come from one, so that saves most distances: two that were diverse do not crowd each other,
    // and what was slightly crowded is so still, by whichever of those it was.
    template <class Between, class Crowds>
    void keep_diverse(Between between, Crowds crowds) {
        std::sort(members_.begin(), members_.end());
        for (Member &member : members_) {
            if (kept_.size() == limit_)
                break;
            member.crowding =
                member.before == Before::slightly_crowded ? Crowding::slight : Crowding::none;
            for (const Member &other : kept_) {
                if (member.before != Before::nothing && other.before == Before::diverse)
                    continue;
                const Crowding crowding = crowds(between(other.id, member.id), other.id, member);
                member.crowding = std::max(member.crowding, crowding);
                if (crowding == Crowding::full)
                    break;
            }
            if (member.crowding == Crowding::none)
                kept_.push_back(member);
        }
        diverse_ = kept_.size();
    }

    // Then keeps slightly crowded members, the nearest first, until there are `count`, which the
    // limit must allow: those that the others of them which are kept do not crowd fully (the slack,
    // or alpha, of Subramanya et al. 2019). All diverse ones come before them. Were the two chosen
    // in one go, the near ones would fill the list, and the far ones, which lead from cluster to
    // cluster, be lost.
    template <class Between, class Crowds>
    void keep_slightly_crowded(std::size_t count, Between between, Crowds crowds) {
        for (Member &member : members_) {
            if (kept_.size() >= count)
                break;
            if (member.crowding != Crowding::slight)
                continue;
            const bool crowded = std::any_of(kept_.begin() + static_cast<std::ptrdiff_t>(diverse_),
                                             kept_.end(), [&](const Member &other) {
                                                 if (member.before == Before::slightly_crowded &&
                                                     other.before == Before::slightly_crowded)
                                                     return false;
                                                 return crowds(between(other.id, member.id),
                                                               other.id, member) == Crowding::full;
                                             });
            if (crowded)
                continue;
            member.crowding = Crowding::none;
            kept_.push_back(member);
        }
        slightly_crowded_ = kept_.size() - diverse_;
    }

    // Adds the nearest of the others until there are so many, which the limit must allow.
    void fill_up(std::size_t count);

    // Writes the kept members to the list whose count word is `words`, which is full: the diverse
    // ones, then the others. Within these two parts ids that stay keep their place, so that
    // concurrent readers see as little change as possible and few cache lines are written.
    void store(std::atomic<std::uint32_t> *words);

    // The diverse members, then the slightly crowded, then those added by fill_up(), in each part
    // the nearest first.
    const std::vector<Member> &kept() const noexcept { return kept_; }
    std::size_t diverse() const noexcept { return diverse_; }
    std::size_t slightly_crowded() const noexcept { return slightly_crowded_; }

  private:
    std::size_t limit_ = 0;
    std::size_t diverse_ = 0;
    std::size_t slightly_crowded_ = 0;
    std::vector<Member> members_;
    std::vector<Member> kept_;
    std::vector<NodeId> missing_;
    std::vector<std::uint32_t> free_;
};

}  // namespace dvec::graph
