// Numbers that look like chance and are the same for all time.
#pragma once

#include <cstdint>

namespace dvec::graph {

// The finaliser of SplitMix (Steele, Lea, Flood 2014): words that differ little become words that
// look independent, one to one. What is on disk depends on it: it must never change.
constexpr std::uint64_t mixed_bits(std::uint64_t word) noexcept {
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
    return word ^ (word >> 31);
}

// What SplitMix adds to go from one word to the next.
inline constexpr std::uint64_t mixed_bits_step = 0x9E3779B97F4A7C15u;

}  // namespace dvec::graph
