// How much space is made ready for rows to come: in proportion to the rows there are, and of log
// also to those that came lately. So an index of few rows is small, and where many come no session
// waits for space.
#pragma once

#include <cstdint>

#include "engine/graph/format.hpp"
#include "engine/store/shared_state.hpp"

namespace dvec::store {

// Bytes of slots, and of log behind its head. When less is ready, space is made; and then for as
// much more, so that it is not made with every row.
struct Preallocation {
    std::uint64_t slot_bytes;
    std::uint64_t log_bytes;
};

// For an index in its present state.
Preallocation preallocation_for(const graph::Layout &layout, const SharedState &state,
                                std::uint64_t segment_bytes) noexcept;

// Whether what a log holds, or has ready, of `bytes` is so little beside the index that a
// checkpoint need not go on in a segment of its own to get rid of it.
bool small_beside_index(std::uint64_t bytes, const graph::Layout &layout,
                        const SharedState &state) noexcept;

}  // namespace dvec::store
