// The dvec.* settings: what an administrator can turn. Settings of the access method itself
// (hnsw.*) are in am/options.
#pragma once

namespace dvec::postgres::settings {

extern int max_indexes;             // entries of the registry; fixed at server start
extern int link_threads;            // threads that link one index at a time in the worker
extern int tail_limit_kb;           // inserting sessions wait while an index's tail is longer
extern int log_flush_threshold_kb;  // unsynced log bytes that make the worker sync
extern int log_buffer_limit_kb;     // unsynced log bytes at which a session syncs itself
extern int log_flush_interval_ms;   // longest time a log record waits for a sync
extern int log_segment_size_kb;     // of indexes created from now on
extern int checkpoint_size_kb;      // log bytes that make the worker take a checkpoint
extern int checkpoint_timeout_s;    // longest time between checkpoints of a changed index
extern int sweep_interval_s;        // time between searches for folders of dropped indexes

void init();

}  // namespace dvec::postgres::settings
