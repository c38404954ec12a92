// The history of server starts, in the file dvec/starts: which crash recoveries took back how much
// WAL, and which starts recovered from WAL that came from elsewhere. An index that is not used for
// several starts is judged by all of them when it is used again.
//
// A foreign recovery is one that begins with a backup label or with a request for archive recovery
// or standby mode in the data directory. It brings the heap to a state that this server did not
// write, while the sidecars stay as they were, clean or not. A standby notes it at each of its
// starts; its promotion is no start. Since nothing uses a sidecar before recovery is over, whatever
// was last used before such a start has missed what was recovered, however often the standby was
// started meanwhile, and what is used after its promotion has not.
//
// What it has missed can be told from WAL where the recovery went on from where this server was:
// that of a standby that was started again, or of a server that was shut down and became one. The
// control file says so before it begins. It does not when a backup was restored, pg_rewind was here
// or a primary had crashed.
#pragma once

#include "engine/store/wal_history.hpp"
#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

// Notes that the server starts, before its recovery begins. From then on it is known of indexes
// used before that they may have missed something. Runs in the postmaster, also after the crash of
// a backend, while the files that ask for a foreign recovery are still in place. Returns the number
// of this start, never 0. If it cannot be noted, which is reported in the server's log, the whole
// history is discarded, since a history with a gap would be wrong.
uint64 note_server_start() noexcept;

// Notes down where this start's recovery ended, once. Must be called before an index is opened. A
// failure is reported to the server's log; indexes that need to know are rebuilt then.
void note_recovery_end();

class ServerStarts final : public store::WalHistory {
  public:
    std::uint64_t current_start() const noexcept override;
    std::optional<std::uint64_t> surviving_end(std::uint64_t start) const noexcept override;
    Foreign foreign_recovery_since(std::uint64_t start) const noexcept override;
    bool file_system_held_since(std::uint64_t start) const noexcept override;
};

}  // namespace dvec::postgres
