// The reconcile LSN, S: below which PostgreSQL's pages hold nothing that the sidecars could lack.
//
// After a crash that took unsynced bytes of a sidecar with it, the heap pages with an LSN at or
// above S are read again, and only those. So a checkpoint may carry S only if every row whose heap
// insert has a lower LSN is durable in the sidecar, or belongs to a transaction that failed. It
// becomes so in three steps:
//
//   1. Take L0, the end of all WAL, and after it X0, the next transaction ID.
//   2. Wait until every transaction with an ID below X0 has ended, prepared ones included. A
//      transaction inserts into its indexes before it ends, so all its rows are in the sidecar.
//   3. Sync the sidecar. What step 2 found in it is durable then, and S = L0 is true.
//
// The order in step 1 matters. A row whose WAL lies below L0 was inserted before L0 was read, by a
// transaction that had its ID by then: reading X0 afterwards gives a number above all of those.
// Were X0 read first, a transaction could begin after it, write its heap row below L0 and not have
// come to the index yet, and nobody would wait for it.
//
// Two kinds of rows do not follow the rule, and are synced before their transaction commits instead
// (runtime/log_sync): those whose pages get no LSN because their WAL is skipped, and those that
// CREATE INDEX CONCURRENTLY adds for transactions that ended long ago.
#pragma once

#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/wal.hpp"

namespace dvec::postgres {

// The highest L0 for which steps 1 and 2 are done; 0 when there is none yet. A checkpoint may carry
// it as S when all of its syncs, that of the log included, begin after this call. Looks at the
// server's transactions a few times per second at most, however often it is called; keeps its state
// in the process, so the one process that takes checkpoints calls it, in every round: a value is
// known only some time after the first call. Needs no database connection; not during recovery.
XLogRecPtr safe_reconcile_lsn();

}  // namespace dvec::postgres
