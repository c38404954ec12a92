// The dvec.* settings of the server. Those that control a session's searches are in
// am/scan_settings.
#pragma once

#include <cstdint>

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
extern int log_max_size_kb;         // sessions do not let the log that a restart reads grow beyond
extern int compact_threshold;       // percent of deleted entries; 0: never compact
extern int sweep_interval_s;        // time between searches for folders of dropped indexes
extern int filter_memory_kb;        // of what a session remembers for filters, in all its indexes

extern bool autoprewarm;  // whether the worker reads indexes into memory when it starts

extern bool enable_partition_merge;  // whether plans may have a PartitionMerge

// When the log of an index that a transaction inserted into is made durable.
enum class WalSync : int {
    buffered,  // soon, by the worker
    commit     // before the transaction commits
};
extern int wal_sync;  // a WalSync; a session's own

// Log bytes at which a checkpoint is due: dvec.checkpoint_size, but well before dvec.log_max_size.
std::uint64_t checkpoint_bytes() noexcept;

// What a build or a compaction may take in memory: maintenance_work_mem, of this process.
std::uint64_t build_memory_bytes() noexcept;

void init();

}  // namespace dvec::postgres::settings
