// Finds the pages of a table that changed since an LSN without reading the table: PostgreSQL's own
// WAL names them.
#pragma once

#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/wal.hpp"

namespace dvec::postgres {

// A set of pages of one table; plain data in palloc'd memory.
class PageSet {
  public:
    // Empty, for pages below `pages`.
    static PageSet *make(BlockNumber pages);

    void add(BlockNumber page) {
        if (page < pages_)
            bits_[page / 8] = static_cast<uint8>(bits_[page / 8] | 1 << page % 8);
    }
    bool has(BlockNumber page) const { return (bits_[page / 8] >> page % 8 & 1) != 0; }

  private:
    BlockNumber pages_;
    uint8 bits_[FLEXIBLE_ARRAY_MEMBER];
};

// The pages below `pages` that WAL from `since` on has touched. Null when that WAL is not there any
// more, cannot be read, or is longer than the table, which is then better looked at itself. Raises
// when interrupted.
const PageSet *pages_changed_in_wal(Relation heap, XLogRecPtr since, BlockNumber pages);

// Whether a page of the table has been changed since, by its own LSN. A new page counts as changed:
// it has no rows, whatever the index says of it.
bool has_lsn_since(Relation heap, BlockNumber page, XLogRecPtr since,
                   BufferAccessStrategy strategy);

}  // namespace dvec::postgres
