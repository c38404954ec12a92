// The memory that a process remembers rows and conditions in, for the searches of all its indexes
// (filter_memory.hpp).
#pragma once

#include <atomic>
#include <cstddef>

namespace dvec::graph {

class RememberedBytes {
  public:
    // Whether there is room for so many more where all may have `most` together.
    static bool fit(std::size_t bytes, std::size_t most) noexcept { return in_use + bytes <= most; }
    static void take(std::size_t bytes) noexcept { in_use += bytes; }
    static void give_back(std::size_t bytes) noexcept { in_use -= bytes; }

  private:
    static inline std::atomic<std::size_t> in_use{0};
};

}  // namespace dvec::graph
