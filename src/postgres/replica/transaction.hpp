// The short transactions in which a follower reads.
#pragma once

#include <utility>

#include "postgres/bridge/cleanup.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/transactions.hpp"

namespace dvec::postgres {

// Runs `body` in a transaction of its own, with a snapshot. An ERROR, which may be the replay's
// wish to go on (a recovery conflict), is reported as a WARNING and ends the transaction: false.
template <class Body>
bool in_transaction(Body &&body) {
    const MemoryContext caller = CurrentMemoryContext;
    const PendingError error = caught([&body] {
        SetCurrentStatementStartTimestamp();
        StartTransactionCommand();
        PushActiveSnapshot(GetTransactionSnapshot());
        body();
        PopActiveSnapshot();
        CommitTransactionCommand();
    });
    if (error)
        AbortCurrentTransaction();
    MemoryContextSwitchTo(caller);
    report(WARNING, error);
    return !error;
}

}  // namespace dvec::postgres
