// What the store has to know of PostgreSQL's past: a crash can take back WAL, and with it rows
// whose log records the sidecar still has. The LSNs are given out again afterwards, so a record
// must be judged by the first recovery after it was written, not by the latest one.
#pragma once

#include <cstdint>
#include <optional>

namespace dvec::store {

class WalHistory {
  public:
    // The number of the server start that is running: random, never the same for two starts. If it
    // could not be noted down, later starts will not know it.
    virtual std::uint64_t current_start() const noexcept = 0;

    // The lowest LSN at which a recovery ended in the starts after `start`, the running one
    // included: what was logged during `start` with a higher LSN did not survive. nothing_lost when
    // all those starts found a clean shutdown; no value when the history does not reach back to
    // `start`.
    static constexpr std::uint64_t nothing_lost = ~std::uint64_t{0};
    virtual std::optional<std::uint64_t> surviving_end(std::uint64_t start) const noexcept = 0;

    // Whether a server start after `start` recovered from WAL that this server did not write itself
    // (a standby, an archive, a backup): rows may have come without the index being told.
    enum class Foreign : std::uint8_t {
        none,
        // All of it followed what the server had when that start began, but what surviving_end()
        // excludes: rows have come and gone on pages that WAL from then on has changed.
        continuing,
        // The table may be of any moment. Also when the history does not reach back to `start`.
        unknown
    };
    virtual Foreign foreign_recovery_since(std::uint64_t start) const noexcept = 0;

    // Whether one process had the folder of the indexes open from `start` until now: then the file
    // system was not unmounted meanwhile, and what was written to it is in the page cache, if not
    // on disk. False when that is not known.
    virtual bool file_system_held_since(std::uint64_t start) const noexcept = 0;

  protected:
    ~WalHistory() = default;
};

}  // namespace dvec::store
