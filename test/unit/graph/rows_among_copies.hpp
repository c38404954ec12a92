// What the tests of equal and of nearly equal rows share: how many there are, and when they come.
#pragma once

#include <cstddef>

namespace dvec::graph {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr std::size_t others = 1000;  // rows that have no copies
inline constexpr std::size_t most_copies = 500;
#else
inline constexpr std::size_t others = 4000;
inline constexpr std::size_t most_copies = 5000;
#endif

// Of the copies among the others.
enum class Place { first, last, mixed };

}  // namespace dvec::graph
