// Reads the log back after a crash. Distinguishes the torn tail, where writing stopped, from damage
// that has valid records behind it. A torn tail ends the replay. Damage is skipped, counted and
// reported, since something is missing then and recovery must look for it elsewhere. Nothing is
// skipped silently.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/file.hpp"
#include "engine/base/status.hpp"
#include "engine/log/format.hpp"
#include "engine/log/segment.hpp"

namespace dvec::log {

struct Record {
    RecordType type;
    std::uint32_t node;
    std::uint64_t lsn;
    std::span<const std::byte> payload;  // valid during the callback
    Position position;
};

struct Damage {
    std::string file;
    std::uint64_t offset;  // in the file
    std::uint64_t bytes;   // skipped until the next valid record, or the next segment
    std::string reason;
};

struct ReplayReport {
    std::uint64_t records = 0;
    std::uint64_t max_lsn = 0;  // highest LSN of them
    Position first = 0;         // start of the segment that replay began in
    Position end = 0;           // behind the last valid record: where appending goes on

    // What was skipped with valid records behind it.
    std::vector<Damage> damage;

    // Set when the bytes at `end` are not what a killed writer leaves (a zero magic, or no file
    // where none was announced): then there was a record there, and it is broken. After a power
    // loss this is a torn page of the part that was not synced, which is to be expected. When the
    // page cache lived on, it is damage, and a finished record is missing.
    std::optional<Damage> broken_tail;
};

using Apply = std::function<base::Status(const Record &)>;

// Calls `apply` for every valid record from `from` on, in order, each once; `from` is the position
// of a record or the end of the log. A missing segment behind the last valid record is the end; one
// with records behind it is damage. An unknown record type with a valid CRC yields
// Code::unsupported. Stops with apply's status when it is not ok. Reads only; nobody may be
// appending. Takes a segment's size of memory. Writer::resume makes the log ready for appending
// again.
base::Result<ReplayReport> replay(base::FileSystem &file_system, const Geometry &geometry,
                                  Position from, const Apply &apply);

// The same for a log whose identity is 0.
base::Result<ReplayReport> replay(base::FileSystem &file_system, const std::string &directory,
                                  std::uint64_t segment_bytes, Position from, const Apply &apply);

}  // namespace dvec::log
