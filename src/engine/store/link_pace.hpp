// How many nodes to link in one turn. Until a turn is over its nodes stay in the tail, nothing else
// is done for any index, and whoever wants the index for itself waits. So a turn should be short
// however long it takes to link a node: microseconds for short vectors on an idle machine, and many
// milliseconds for long ones on a busy machine.
#pragma once

#include <algorithm>
#include <cstdint>

namespace dvec::store {

// Watches one index for the party that links it. Works on the values it is given alone.
class LinkPace {
  public:
    static constexpr std::int64_t turn = 100'000;  // microseconds
    static constexpr std::uint32_t least = 64;

    // At most `most` nodes, as many as took a turn's time when they were last linked. At first some
    // that hardly ever take long.
    std::uint32_t nodes(std::uint32_t most) const noexcept {
        return static_cast<std::uint32_t>(
            std::clamp<std::int64_t>(nodes_, std::min(least, most), most));
    }

    // A turn has linked so many nodes in so much time. A turn of few nodes does not tell how many
    // more there was time for, so the next may have twice as many.
    void note(std::uint32_t linked, std::int64_t microseconds) noexcept {
        if (linked == 0)
            return;
        const std::int64_t fitting =
            std::int64_t{linked} * turn / std::max<std::int64_t>(1, microseconds);
        nodes_ = std::min(fitting, 2 * std::max<std::int64_t>(linked, nodes_));
    }

  private:
    std::int64_t nodes_ = 256;
};

}  // namespace dvec::store
