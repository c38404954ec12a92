// The history of server starts, in the file dvec/starts: which crash recoveries took back how much
// WAL. An index that is not used for several starts is judged by all of them when it is used again.
#pragma once

#include "engine/store/wal_history.hpp"
#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

// Notes down that the server starts, before its recovery begins: from here on an index that was in
// use before is known to have missed something. Runs in the postmaster, also after the crash of a
// backend. Returns the number of this start, 0 when it could not be noted down (reported to the
// server's log).
uint64 note_server_start() noexcept;

// Notes down where this start's recovery ended, once. Must be called before an index is opened. A
// failure is reported to the server's log; indexes that need to know are rebuilt then.
void note_recovery_end();

class ServerStarts final : public store::WalHistory {
  public:
    std::uint64_t current_start() const noexcept override;
    std::optional<std::uint64_t> surviving_end(std::uint64_t start) const noexcept override;
    bool foreign_recovery_since(std::uint64_t) const noexcept override { return false; }
};

}  // namespace dvec::postgres
