// The file dvec/starts: the latest starts of the server, in order. Two blocks of one size, written
// in turn, each under a checksum and with a serial number, so that a write torn by a crash leaves
// the one before it. Both have their disk space from the beginning: a server that starts on a full
// disk, which is when it is most likely to have crashed, can note that down.
#pragma once

#include <vector>

#include "engine/base/status.hpp"
#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

inline constexpr std::size_t most_starts = 1024;

// As it stands in the file, little-endian.
struct ServerStart {
    uint64 number;
    // How far WAL survived this start: where its recovery ended, or for a foreign one, how far it
    // was sure to come when it began. An LSN, or one of:
    uint64 recovery_end;
    static constexpr uint64 none = 0;
    static constexpr uint64 unknown = ~uint64{0};
    uint32 flags;
    static constexpr uint32 foreign_recovery = 1;
    static constexpr uint32 held = 2;      // by the same postmaster as the start before
    static constexpr uint32 restored = 4;  // from a backup, or by pg_rewind
    uint32 reserved;                       // 0
};
static_assert(sizeof(ServerStart) == 24);

using Starts = std::vector<ServerStart>;

// A file that is missing or damaged is an empty history, and so is one of another version.
base::Result<Starts> read_starts();

// At most most_starts. Durable when it returns.
base::Status write_starts(const Starts &starts);

// Removing takes no space, so it succeeds where writing did not.
base::Status forget_starts();

}  // namespace dvec::postgres
