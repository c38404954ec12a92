// A found node as one 64-bit word: its distance, its id, and whether it was expanded. Ordering the
// words as integers orders the nodes by (distance, id), so that ties come in a fixed order and no
// comparison ever meets a NaN.
#pragma once

#include <bit>
#include <cstdint>

#include "engine/graph/format.hpp"

namespace dvec::graph {

// Upper half: the distance's bits, mapped so that unsigned order is numeric order (negatives
// inverted, the sign bit flipped otherwise); NaN comes after +infinity. Lower half: id << 1, and
// expanded_bit.
using Candidate = std::uint64_t;

// The walk has followed the node's links. Set in a Beam; a candidate that leaves it keeps the bit,
// so that it is not expanded again when it comes back.
inline constexpr Candidate expanded_bit = 1;
static_assert(max_nodes < 0x80000000u, "an id and a bit share 32 bits");

inline Candidate make_candidate(float distance, NodeId id) noexcept {
    constexpr std::uint32_t sign = 0x80000000u;
    // Adding zero turns -0 into +0: the two are equal and must not differ here.
    std::uint32_t bits = std::bit_cast<std::uint32_t>(distance + 0.0f);
    if (distance != distance)
        bits = 0x7FC00000u;
    bits ^= (bits & sign) != 0 ? 0xFFFFFFFFu : sign;
    return Candidate{bits} << 32 | std::uint64_t{id} << 1;
}

inline NodeId candidate_id(Candidate candidate) noexcept {
    return static_cast<std::uint32_t>(candidate) >> 1;
}

inline float candidate_distance(Candidate candidate) noexcept {
    constexpr std::uint32_t sign = 0x80000000u;
    const auto bits = static_cast<std::uint32_t>(candidate >> 32);
    return std::bit_cast<float>((bits & sign) != 0 ? bits ^ sign : ~bits);
}

inline bool is_expanded(Candidate candidate) noexcept { return (candidate & expanded_bit) != 0; }
inline Candidate unexpanded(Candidate candidate) noexcept { return candidate & ~expanded_bit; }

}  // namespace dvec::graph
