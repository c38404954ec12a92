// What dvec needs to know of PostgreSQL's write-ahead log, and asks of it.
#pragma once

#include "engine/store/checkpointer.hpp"
#include "postgres/bridge/postgres.hpp"

extern "C" {
#include "access/xlogdefs.h"
}

namespace dvec::postgres {

// Where PostgreSQL's own recovery ended when this server started; 0 when it shut down cleanly
// before and recovered nothing. What a sidecar log says beyond it belongs to heap tuples that did
// not survive.
XLogRecPtr wal_recovery_end();

// The end of the WAL that the current transaction has written so far: of its latest heap insert or
// something later. For rows that another transaction inserted (an index being validated) the end of
// all WAL.
XLogRecPtr wal_position_of_insert(bool own_row);

// Flushes PostgreSQL's WAL on the engine's behalf; an ERROR there becomes a Status.
class ServerWalFlusher final : public store::WalFlusher {
  public:
    base::Status flush(std::uint64_t lsn) override;
};

// Makes everything written to WAL so far durable.
void flush_wal();

}  // namespace dvec::postgres
