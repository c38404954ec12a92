// Tells a row that comes again from one that is new, while a table is read page by page.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/graph/format.hpp"

namespace dvec::store {

// In a table that others write to, a row that is being updated in place (HOT) comes twice, under
// the same TID. Plain data, all zero at the beginning.
class PageRows {
  public:
    // Notes a row down; false when it came before. Rows of one page come one after the other.
    bool note(graph::Tid tid) noexcept {
        if (!any_ || tid.block != block_)
            *this = PageRows{};
        any_ = true;
        block_ = tid.block;
        std::uint64_t &word = seen_[tid.offset / 64];
        const std::uint64_t bit = std::uint64_t{1} << tid.offset % 64;
        const bool first = (word & bit) == 0;
        word |= bit;
        return first;
    }

  private:
    static constexpr std::size_t words = 65536 / 64;  // for every offset that a Tid can hold

    bool any_ = false;
    std::uint32_t block_ = 0;
    std::uint64_t seen_[words] = {};
};

}  // namespace dvec::store
