// Positions in PostgreSQL's WAL are compared with those in sidecar logs; both are ends of records.
#include "postgres/runtime/wal.hpp"

#include <string>

#include "postgres/bridge/cleanup.hpp"
#include "postgres/bridge/wal.hpp"

namespace dvec::postgres {

// The server's insert position is where the next
// record will begin: when the last one fills a page, that is behind the header of the next page,
// which does not exist yet. Nothing can be flushed up to there, and no recovery ends there.
XLogRecPtr end_of_wal() {
    if (RecoveryInProgress())
        return replay_position();
    const XLogRecPtr next = GetXLogInsertRecPtr();
    if (XLogSegmentOffset(next, wal_segment_size) == SizeOfXLogLongPHD)
        return next - SizeOfXLogLongPHD;
    if (next % XLOG_BLCKSZ == SizeOfXLogShortPHD)
        return next - SizeOfXLogShortPHD;
    return next;
}

XLogRecPtr wal_recovery_end() {
    // Stays in shared memory when recovery is over.
    return GetXLogReplayRecPtr(nullptr);
}

XLogRecPtr replay_position() { return GetXLogReplayRecPtr(nullptr); }

// The insert of a heap row with WAL is the last record of its transaction, or nearly so, so the end
// of WAL is just behind it.
//
// A row without WAL survives a crash exactly if the commit record of its transaction does: before
// that is written, the server makes the table's file durable; without it, the file is thrown away.
// The commit record is yet to come, so it ends above the present end of WAL: a crash that spares it
// spares everything up to here, and the row's record is kept as it must be. A crash that takes WAL
// back to before this point takes the commit record too, and the record goes with it. (A crash in
// between leaves an entry without a row. That matters only where the index is older than the
// table's file, and there the index entries of any other kind stay behind in the same way.) The end
// of this transaction's own WAL would not do: it has perhaps written none, or not for long, and so
// old a position, or 0, would keep the entry whatever is lost.
//
// A row of another transaction was inserted at an unknown position below the present end of WAL. A
// crash may drop its sidecar record although the row survives, but then the WAL record that marks
// the index valid, which comes later, does not survive either.
XLogRecPtr wal_position_of_insert(RowOrigin origin) {
    return origin == RowOrigin::own ? XactLastRecEnd : end_of_wal();
}

void flush_wal() {
    if (!RecoveryInProgress())
        XLogFlush(end_of_wal());
}

XLogRecPtr position_begun() { return GetCurrentReplayRecPtr(nullptr); }

// In recovery the server does not flush WAL, but notes this position as its minimum recovery point,
// as it does before it writes a page (UpdateMinRecoveryPoint). It does not start on a history that
// does not contain that point.
void hold_position() { XLogFlush(position_begun()); }

base::Status ServerWalFlusher::flush(std::uint64_t lsn) {
    const bool standby = RecoveryInProgress();
    if (lsn == 0 && !standby)
        return {};
    // Called from engine code, which an ERROR must not cross, and under locks that must stay held.
    const PendingError error = caught([=] {
        if (standby)
            hold_position();
        else
            XLogFlush(lsn);
    });
    if (!error)
        return {};
    return base::Status(
        base::Code::io_error,
        std::string("could not flush the server's write-ahead log: ") + error.message);
}

}  // namespace dvec::postgres
