// Holds writing sessions back, so that the worker stays behind by a bounded amount only: of rows to
// link, of deleted nodes to compact, of log to sync and to remove. A session waits only while the
// worker makes progress. When it makes none, the session does itself what it can.
#pragma once

#include "postgres/runtime/open_index.hpp"

namespace dvec::postgres {

// The bytes of vectors not yet linked at which sessions that insert into an index wait:
// dvec.tail_limit, or an eighth of it while the index is searched, since every search reads them.
uint64 tail_limit(const IndexEntry &entry, TimestampTz now);

// Before a row is added, so that an ERROR here leaves nothing behind: waits while the tail is
// longer than its limit, or the row would outrun a compaction, and does what wait_before_logging
// does.
// Interruptible.
void wait_before_insert(OpenIndex *open);

// Whether so many entries of the index are deleted that the worker compacts it.
bool is_compaction_due(const IndexEntry &entry);

// At the end of a VACUUM: where at least two in five of the entries are deleted and that makes a
// compaction due, waits until it is done. So an index whose rows are all replaced, time and again,
// never takes more than twice the space of its rows. Interruptible.
void wait_for_compaction(const OpenIndex &open);

// Before records are appended to the log. Syncs it when dvec.log_buffer_limit is exceeded. When a
// restart would have to read more of it than dvec.log_max_size, waits for the worker to take a
// checkpoint, and takes one in its place when it does not. Raises when that fails too: 53100 when
// the disk is full, 53400 when the worker keeps the index to itself without making progress.
void wait_before_logging(OpenIndex *open);

}  // namespace dvec::postgres
