// The parts of a selection that need no distances.
#include "engine/graph/reselection.hpp"

namespace dvec::graph {

void Reselection::spare_orphans(InboundCounts &inbound) {
    spared_.clear();
    // Both are sorted, and `kept_` is a part of `members_`.
    std::size_t next = 0;
    for (const Member &member : members_) {
        if (next < kept_.size() && kept_[next].id == member.id)
            ++next;
        else if (!inbound.release(member.id))
            spared_.push_back(member);
    }
    std::size_t farthest = kept_.size();
    for (const Member &member : spared_) {
        if (kept_.size() < limit_) {
            kept_.push_back(member);
            continue;
        }
        while (farthest > 0 && !inbound.release(kept_[farthest - 1].id))
            --farthest;
        if (farthest == 0)
            break;
        kept_[--farthest] = member;
    }
}

std::uint32_t Reselection::store(std::atomic<std::uint32_t> *words) {
    missing_.clear();
    for (const Member &member : kept_)
        missing_.push_back(member.id);
    auto count = static_cast<std::uint32_t>(limit_);
    for (std::uint32_t i = 1; i <= count;) {
        const NodeId other = words[i].load(std::memory_order_relaxed);
        const auto found = std::find(missing_.begin(), missing_.end(), other);
        if (found != missing_.end()) {
            *found = missing_.back();
            missing_.pop_back();
            ++i;
        } else {
            words[i].store(words[count].load(std::memory_order_relaxed), std::memory_order_relaxed);
            --count;
        }
    }
    for (const NodeId other : missing_)
        words[++count].store(other, std::memory_order_relaxed);
    words[0].store(count, std::memory_order_release);
    return count;
}

}  // namespace dvec::graph
