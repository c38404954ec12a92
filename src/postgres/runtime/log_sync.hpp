// Making the sidecar log durable on behalf of sessions: at once, or before the transaction commits.
// Usually nobody has to wait for that, since what the log loses in a crash the heap still has, and
// page LSNs tell where. Some rows cannot be found again that way, and some users want no such
// search; for them the log is durable before the commit record exists.
#pragma once

#include "postgres/runtime/open_index.hpp"

namespace dvec::postgres {

// Registers the callbacks; called once, while the server loads its preloaded libraries.
void commit_sync_init();

enum class SyncAtCommit : unsigned char {
    as_set,  // when dvec.wal_sync says so at the time of the commit
    always
};

// To be called after the current transaction has appended to the index's log. Before the
// transaction commits, or is prepared for a two-phase commit, everything logged up to now is
// durable, or else the transaction fails. What a subtransaction appended before it was rolled back
// counts no more. Raises only for want of memory.
void sync_at_commit(const OpenIndex &open, SyncAtCommit when);

// Makes everything logged so far durable, now. Sessions that ask at the same time share one sync.
// When it fails the files are given up (see give_up) and the failure is raised. If the index is
// being repaired or was built anew since `open` was opened, a failure is left to those who do that:
// they end with files that are durable as a whole.
void sync_log(const OpenIndex &open);

}  // namespace dvec::postgres
