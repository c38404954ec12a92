// The space that is ready and unused stays below a tenth of an index, if the index has more than a
// few pages and gets few rows. Making log ready costs a sync, so where rows come each step is
// larger than the one before.
#include "engine/store/preallocation.hpp"

#include <algorithm>

namespace dvec::store {

namespace {

constexpr std::uint64_t kibibyte = std::uint64_t{1} << 10;
constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

constexpr std::uint64_t least = 4 * kibibyte;
constexpr std::uint64_t most_slots = 6 * mebibyte;
constexpr std::uint64_t slot_share = 32;
constexpr std::uint64_t log_share = 64;
constexpr std::uint64_t new_log_share = 2;  // of what was written since the last checkpoint

// The size up to which the files of a log are not worth replacing by smaller ones.
constexpr std::uint64_t small_log = 32 * kibibyte;
constexpr std::uint64_t small_log_share = 16;

std::uint64_t bytes_in(const graph::Layout &layout, const SharedState &state) noexcept {
    return std::uint64_t{state.graph.allocated.load(std::memory_order_relaxed)} * layout.stride;
}

// The lower mark first: it never passes the head, which only grows.
std::uint64_t new_log_bytes(const SharedState &state) noexcept {
    const log::Position begin = state.checkpoint_position.load(std::memory_order_acquire);
    return state.log.head.load(std::memory_order_acquire) - begin;
}

}  // namespace

Preallocation preallocation_for(const graph::Layout &layout, const SharedState &state,
                                std::uint64_t segment_bytes) noexcept {
    const std::uint64_t bytes = bytes_in(layout, state);
    const std::uint64_t half_segment = segment_bytes / 2;
    const std::uint64_t log = std::max(bytes / log_share, new_log_bytes(state) / new_log_share);
    return {std::clamp(bytes / slot_share, least, most_slots),
            std::clamp(log, std::min(least, half_segment), half_segment)};
}

bool small_beside_index(std::uint64_t bytes, const graph::Layout &layout,
                        const SharedState &state) noexcept {
    return bytes <= std::max(small_log, bytes_in(layout, state) / small_log_share);
}

}  // namespace dvec::store
