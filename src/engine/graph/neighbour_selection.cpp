// The parts of a selection that need no distances.
#include "engine/graph/neighbour_selection.hpp"

namespace dvec::graph {

void NeighbourSelection::fill_up(std::size_t count) {
    // members_ and the diverse members in kept_ are both sorted, and the latter are a subset.
    std::size_t next = 0;
    for (const Member &member : members_) {
        if (kept_.size() >= count)
            break;
        if (next < diverse_ && kept_[next].id == member.id)
            ++next;
        else
            kept_.push_back(member);
    }
}

std::uint32_t NeighbourSelection::store(std::atomic<std::uint32_t> *words) {
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
