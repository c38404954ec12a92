// How much space is made ready for rows to come: in proportion to the rows that are there, and for
// the log also in proportion to what was written lately. So an index of few rows is small, and
// where many rows come no session waits for space.
#pragma once

#include <cstdint>

#include "engine/graph/format.hpp"
#include "engine/store/shared_state.hpp"

namespace dvec::store {

// Bytes of slots, and of log behind its head. When less than this is ready, space is made for as
// much more, so that space is not made with every row.
struct Preallocation {
    std::uint64_t slot_bytes;
    std::uint64_t log_bytes;
};

// The space to make ready for an index in its present state.
Preallocation preallocation_for(const graph::Layout &layout, const SharedState &state,
                                std::uint64_t segment_bytes) noexcept;

// Whether `bytes` of log, written or made ready, are so little beside the index that a checkpoint
// need not begin a new segment to get rid of them.
bool small_beside_index(std::uint64_t bytes, const graph::Layout &layout,
                        const SharedState &state) noexcept;

}  // namespace dvec::store
