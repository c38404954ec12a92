// Syncs the sidecar log on behalf of sessions, at once or before the transaction commits. Usually
// no session has to wait for a sync: what a crash takes from the log is still in the heap, and is
// found by the LSNs of heap pages. Rows that cannot be found that way are synced before the commit
// record is written, and so is everything when dvec.wal_sync is `commit`.
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
// durable, or else the transaction fails. Records of a subtransaction that was rolled back do not
// count. Raises an error only when out of memory.
void sync_at_commit(const OpenIndex &open, SyncAtCommit when);

// Makes everything logged so far durable, now. Sessions that ask at the same time share one sync.
// When it fails the files are given up (see give_up) and the failure is raised. If the index is
// being repaired or was rebuilt since `open` was opened, a failure is ignored: the repair ends by
// making all of its files durable.
void sync_log(const OpenIndex &open);

}  // namespace dvec::postgres
