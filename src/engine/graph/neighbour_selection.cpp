// The parts of a selection that need no distances.
#include "engine/graph/neighbour_selection.hpp"

namespace dvec::graph {

void NeighbourSelection::fill_up(std::size_t count) {
    for (Member &member : members_) {
        if (kept_.size() >= count)
            break;
        if (member.crowding == Crowding::none)
            continue;
        member.crowding = Crowding::none;
        kept_.push_back(member);
    }
}

void NeighbourSelection::store(std::atomic<std::uint32_t> *words) {
    const auto store_part = [&](std::size_t first, std::size_t end) {
        missing_.clear();
        free_.clear();
        for (std::size_t i = first; i < end; ++i)
            missing_.push_back(kept_[i].id);
        for (std::size_t i = first; i < end; ++i) {
            const NodeId other = words[i + 1].load(std::memory_order_relaxed);
            const auto found = std::find(missing_.begin(), missing_.end(), other);
            if (found == missing_.end()) {
                free_.push_back(static_cast<std::uint32_t>(i + 1));
            } else {
                *found = missing_.back();
                missing_.pop_back();
            }
        }
        for (std::size_t i = 0; i < free_.size(); ++i)
            words[free_[i]].store(missing_[i], std::memory_order_relaxed);
    };
    store_part(0, diverse_);
    store_part(diverse_, kept_.size());
    words[0].store(static_cast<std::uint32_t>(kept_.size()), std::memory_order_release);
}

}  // namespace dvec::graph
