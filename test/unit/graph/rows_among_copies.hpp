// What the tests of equal and of nearly equal rows share: how many there are, and when they come.
#pragma once

#include <cstddef>

#include "test/unit/support/sanitized.hpp"

namespace dvec::graph {

inline constexpr std::size_t others = test::sanitized ? 1000 : 4000;  // rows that have no copies
inline constexpr std::size_t most_copies = test::sanitized ? 500 : 5000;

// Of the copies among the others.
enum class Place { first, last, mixed };

}  // namespace dvec::graph
