// Positions in PostgreSQL's WAL are compared with those in sidecar logs; both are ends of records.
#include "postgres/worker/wal.hpp"

extern "C" {
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogrecovery.h"
}

namespace dvec::postgres {

namespace {

// The end of the last record written by anyone. The server's insert position is where the next
// record will begin: when the last one fills a page, that is behind the header of the next page,
// which does not exist yet. Nothing can be flushed up to there, and no recovery ends there.
XLogRecPtr end_of_wal() {
    const XLogRecPtr next = GetXLogInsertRecPtr();
    if (XLogSegmentOffset(next, wal_segment_size) == SizeOfXLogLongPHD)
        return next - SizeOfXLogLongPHD;
    if (next % XLOG_BLCKSZ == SizeOfXLogShortPHD)
        return next - SizeOfXLogShortPHD;
    return next;
}

}  // namespace

XLogRecPtr wal_recovery_end() {
    // Stays in shared memory when recovery is over.
    return GetXLogReplayRecPtr(nullptr);
}

XLogRecPtr wal_position_of_insert(bool own_row) { return own_row ? XactLastRecEnd : end_of_wal(); }

void flush_wal() { XLogFlush(end_of_wal()); }

base::Status ServerWalFlusher::flush(std::uint64_t lsn) {
    if (lsn == 0)
        return {};
    // Inside engine frames, which a longjmp must not cross.
    volatile bool flushed = false;
    MemoryContext context = CurrentMemoryContext;
    PG_TRY();
    {
        XLogFlush(lsn);
        flushed = true;
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        EmitErrorReport();
        FlushErrorState();
    }
    PG_END_TRY();
    if (flushed)
        return {};
    return base::Status(base::Code::io_error, "could not flush the server's write-ahead log");
}

}  // namespace dvec::postgres
