// Tells a row that comes again from one that is new, while a heap is read page by page.
#pragma once

#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

// Plain data, all zero at the beginning.
class PageRows {
  public:
    // Notes a row down; false when it came before. Rows of one page come one after the other.
    bool note(ItemPointer tid) {
        const BlockNumber block = ItemPointerGetBlockNumber(tid);
        if (!any_ || block != block_)
            *this = PageRows{};
        any_ = true;
        block_ = block;
        const OffsetNumber offset = ItemPointerGetOffsetNumber(tid);
        uint64 &word = seen_[offset / 64];
        const uint64 bit = uint64{1} << offset % 64;
        const bool first = (word & bit) == 0;
        word |= bit;
        return first;
    }

  private:
    // Line pointers of a page are numbered from 1 to MaxOffsetNumber.
    static constexpr int words = MaxOffsetNumber / 64 + 1;

    bool any_ = false;
    BlockNumber block_ = 0;
    uint64 seen_[words] = {};
};

}  // namespace dvec::postgres
