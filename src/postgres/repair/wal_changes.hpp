// Reads in the server's own WAL which rows of tables came or went, as far as an index on a standby
// has to know of it.
//
// Only heads of records are read. The server's reader assembles and verifies whole records, which
// is a good part of what replaying them costs; but what was replayed is known to be sound.
//
// Most changes of a heap concern no index. A row that is deleted or locked keeps its entry, whose
// row then is not visible; so does one that gets a version by HOT, and pruning leaves the line
// pointer that an entry leads to. What is not known here counts as a change of all rows.
#pragma once

#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

struct RowChange {
    enum class Kind : unsigned char {
        come,  // rows may have come to line pointers from `from` on, also where others were before
        go,    // line pointers were freed (by VACUUM): entries that lead to them have no row
    };
    Kind kind;
    OffsetNumber from;
    BlockNumber page;
    IndexFile file;
};

// Calls `visit` with the changes that records from `begin`, where one begins or the one before
// ends, tell of, until one ends at `end` or beyond. All of it must have been replayed. Returns
// where that is; InvalidXLogRecPtr when not all could be read: some of it may not be there any
// more. `visit` must not raise. Not interruptible.
XLogRecPtr read_changes(XLogRecPtr begin, XLogRecPtr end,
                        void (*visit)(const RowChange &change, void *argument), void *argument);

}  // namespace dvec::postgres
