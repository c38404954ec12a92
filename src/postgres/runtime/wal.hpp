// What dvec needs to know of PostgreSQL's write-ahead log, and asks of it.
#pragma once

#include "engine/store/checkpointer.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/wal.hpp"

namespace dvec::postgres {

// Where PostgreSQL's own recovery ended when this server started; 0 when it shut down cleanly
// before and recovered nothing. What a sidecar log says beyond it belongs to heap tuples that did
// not survive.
XLogRecPtr wal_recovery_end();

// Where a heap row that is inserted into an index comes from.
enum class RowOrigin : unsigned char {
    own,              // this transaction has just inserted it
    own_without_wal,  // likewise, into a permanent table whose WAL is skipped (see
                      // RelationNeedsWAL)
    others            // other transactions did: an index being validated finds it in the heap
};

// The WAL position that the sidecar's log record of such a row carries. If a crash takes WAL back
// to before this position, the row has not survived. (Rows of transactions that abort stay in the
// index until vacuum removes them.)
XLogRecPtr wal_position_of_insert(RowOrigin origin);

// The end of the last WAL record written by anyone; on a standby, of the last one replayed.
XLogRecPtr end_of_wal();

// How far a standby has replayed WAL. What a snapshot sees was replayed when it was taken.
XLogRecPtr replay_position();

// Flushes PostgreSQL's WAL on the engine's behalf; an ERROR there becomes a Status.
class ServerWalFlusher final : public store::WalFlusher {
  public:
    base::Status flush(std::uint64_t lsn) override;
};

// Makes everything written to WAL so far durable. On a standby nothing is to be done: it replays
// what is durable.
void flush_wal();

// On a standby, which is past a position as soon as it begins to replay the record that ends there:
// what was read of its tables before tells of no WAL behind it.
XLogRecPtr position_begun();
// Makes sure that the standby, whatever ends it, answers no query again before it has replayed
// everything up to that position, on the same timelines. Costs a sync of the server's control file,
// unless that says so already.
void hold_position();

}  // namespace dvec::postgres
