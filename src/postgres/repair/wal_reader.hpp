// Reads the server's own WAL, as far as it was written, or on a standby replayed.
#pragma once

#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/wal.hpp"

namespace dvec::postgres {

// Whether the segment of this position is in pg_wal, on the server's own timeline or on one that it
// came from. The server's checkpoints may remove it at any moment.
bool wal_is_there(XLogRecPtr position);

// Calls `visit` with each record from `begin`, where one begins or the one before ends, until one
// ends at `end` or beyond. Returns where that is; InvalidXLogRecPtr when not all could be read.
// `visit` must not raise. Not interruptible.
XLogRecPtr read_wal(XLogRecPtr begin, XLogRecPtr end,
                    void (*visit)(XLogReaderState *record, void *argument), void *argument);

}  // namespace dvec::postgres
