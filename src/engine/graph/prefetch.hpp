// Brings memory that is to be read soon into the cache.
#pragma once

#include <algorithm>
#include <cstddef>

#include "engine/graph/format.hpp"

namespace dvec::graph {

// Lines of one vector or code beyond this number are left to the processor's own stream prefetcher,
// which has started by then.
inline constexpr std::size_t most_lines_ahead = 16;

// How many lines to prefetch of `bytes` that begin at an offset from the beginning of a line.
constexpr std::size_t lines_ahead(std::size_t offset, std::size_t bytes) {
    return std::min((offset % cache_line + bytes + cache_line - 1) / cache_line, most_lines_ahead);
}

// Inlined always: GCC takes a function that does nothing but prefetch for one without effects, and
// drops calls of it. So whatever calls this and does nothing else must be inlined always, too.
[[gnu::always_inline]] inline void prefetch_lines(const void *address, std::size_t lines) noexcept {
    for (std::size_t line = 0; line < lines; ++line)
        __builtin_prefetch(static_cast<const std::byte *>(address) + line * cache_line);
}

}  // namespace dvec::graph
