// What our processes wait for, by the names that pg_stat_activity.wait_event shows for it from
// PostgreSQL 17 on. Before, an extension has no names of its own, and all of it is "Extension".
#pragma once

#include "postgres/bridge/shared_memory.hpp"

namespace dvec::postgres {

enum class WaitFor : uint32 {
    lock,        // DvecLock: another process that has an index's files in its hands
    opening,     // DvecOpening: another process that opens or repairs the index
    entry,       // DvecEntry: room in the registry, where all of dvec.max_indexes are just in use
    linking,     // DvecLinking: the worker, to link the tail
    compaction,  // DvecCompaction: the worker, to come to the end of a compaction
    checkpoint,  // DvecCheckpoint: the worker, to take a checkpoint
    build,       // DvecBuild: the threads of this session's CREATE INDEX or repair
    log_sync,    // DvecLogSync: the disk, for the sidecar log
    work         // DvecWorkerMain: the worker, for something to do
};
inline constexpr std::size_t wait_kinds = 9;

struct WaitEvents {
    uint32 numbers[wait_kinds];  // by WaitFor, as pgstat_report_wait_start() wants them
};

// For all processes of the server, once, when its shared memory is made.
WaitEvents name_wait_events();

uint32 wait_event(WaitFor what) noexcept;

}  // namespace dvec::postgres
