// One candidate at a time is enough, since a newer one would have to wait for the same transactions
// and others.
#include "postgres/worker/reconcile_lsn.hpp"

#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/transactions.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/runtime/wal.hpp"

namespace dvec::postgres {

namespace {

// Each look scans the server's array of transactions under a shared lock. S may lag by two looks,
// which means that a little more WAL is read after a power loss.
constexpr int look_interval_ms = 200;

struct Candidate {
    XLogRecPtr lsn;              // L0; 0 for none
    FullTransactionId next_xid;  // X0
};

Candidate take_candidate() {
    Candidate candidate;
    candidate.lsn = end_of_wal();
    // The two reads must not be reordered. Both acquire a lock of the server, which orders them;
    // the barrier documents that this matters.
    pg_memory_barrier();
    candidate.next_xid = ReadNextFullTransactionId();
    return candidate;
}

// The oldest transaction that runs or is prepared, or the next one to come. The server tells 32
// bits; fewer than 2^31 IDs lie between it and the next one, which is read after it and in full.
uint64 oldest_running_xid() {
    const TransactionId oldest = GetOldestActiveTransactionId();
    const FullTransactionId next = ReadNextFullTransactionId();
    return U64FromFullTransactionId(next) - (XidFromFullTransactionId(next) - oldest);
}

bool all_ended_before(FullTransactionId xid) {
    return oldest_running_xid() >= U64FromFullTransactionId(xid);
}

}  // namespace

XLogRecPtr safe_reconcile_lsn() {
    static XLogRecPtr safe = 0;
    static Candidate pending{};
    static TimestampTz last_look = 0;

    const TimestampTz now = GetCurrentTimestamp();
    // A clock that was set back must not stop S.
    if (now >= last_look && !TimestampDifferenceExceeds(last_look, now, look_interval_ms))
        return safe;
    last_look = now;
    if (pending.lsn != 0 && all_ended_before(pending.next_xid)) {
        safe = pending.lsn;
        pending.lsn = 0;
    }
    if (pending.lsn == 0)
        pending = take_candidate();
    return safe;
}

}  // namespace dvec::postgres
