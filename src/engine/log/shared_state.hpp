// What the processes that append to one log share. Lives beside graph::SharedState in memory that
// all of them see; rebuilt from the checkpoint and the segments when that memory was lost.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/log/format.hpp"

namespace dvec::log {

// first <= synced <= head <= ready_end. All zero is a log without segments. A file exists for each
// segment that holds a byte of [first, ready_end).
struct SharedState {
    // Where the next record goes; written under the append lock.
    alignas(64) std::atomic<Position> head;
    std::atomic<Position> ready_end;  // head to here is in the files, written as durable zeros
    // Everything before this is on stable storage, or needed no more.
    alignas(64) std::atomic<Position> synced;
    std::atomic<Position> first;         // start of the oldest segment kept
    std::atomic<std::uint64_t> max_lsn;  // highest LSN appended
    // How often the segment files were replaced by others of the same names (Writer::begin and
    // resume), which makes every other writer's mappings of them worthless.
    std::atomic<std::uint32_t> replaced;
    // Not 0 once a sync has failed: what was appended may be lost although later syncs would
    // succeed. Only Writer::begin, which drops every record, takes it back.
    std::atomic<std::uint32_t> sync_failed;
};

}  // namespace dvec::log
