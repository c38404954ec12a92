// Only the latest starts are kept. An index that was last used before the oldest of them is
// rebuilt.
#include "postgres/runtime/server_starts.hpp"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "engine/base/file.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/shared_memory.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/runtime/registry.hpp"
#include "postgres/runtime/starts_file.hpp"
#include "postgres/runtime/wal.hpp"

namespace dvec::postgres {

namespace {

// Whether a file exists. If that cannot be determined it is assumed to, since the server may find
// it.
bool file_present(const char *name) noexcept { return access(name, F_OK) == 0 || errno != ENOENT; }

// A descriptor of the folder of the sidecars, which the postmaster keeps open from its first start
// on, so that the file system cannot be unmounted. Child processes inherit it, which does no harm.
int held_folder = -1;

void hold_folder() noexcept {
    if (held_folder < 0)
        held_folder = open(sidecar_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

// Whether the folder that the path leads to has been held since the start before.
bool folder_is_held() noexcept {
    struct stat then, now;
    return held_folder >= 0 && fstat(held_folder, &then) == 0 && stat(sidecar_root, &now) == 0 &&
           then.st_dev == now.st_dev && then.st_ino == now.st_ino;
}

// Called before recovery begins, since recovery renames or removes these files when it ends.
uint32 flags_of_this_start() noexcept {
    // pg_rewind makes one, too.
    const bool restored = file_present(BACKUP_LABEL_FILE);
    const bool foreign =
        restored || file_present(RECOVERY_SIGNAL_FILE) || file_present(STANDBY_SIGNAL_FILE);
    return (foreign ? ServerStart::foreign_recovery : 0) | (restored ? ServerStart::restored : 0) |
           (folder_is_held() ? ServerStart::held : 0);
}

// How far a recovery that is about to begin is sure to come, if it is a foreign one: to what the
// server had when it was shut down, or to its minimum recovery point, of which it refuses to stop
// short, and which it reaches on the same timelines or not at all. Of a primary that crashed it is
// not known what WAL it has lost, nor is it after a promotion.
uint64 least_recovery() {
    bool sound = false;
    ControlFileData *control = get_controlfile(".", &sound);
    uint64 least = ServerStart::unknown;
    if (sound && control->state == DB_SHUTDOWNED)
        least = ServerStart::none;
    else if (sound && !XLogRecPtrIsInvalid(control->minRecoveryPoint) &&
             (control->state == DB_SHUTDOWNED_IN_RECOVERY ||
              control->state == DB_IN_ARCHIVE_RECOVERY))
        least = control->minRecoveryPoint;
    pfree(control);
    return least;
}

base::Status add_start(uint64 number, uint64 foreign_end) {
    const base::Status made = base::posix_file_system().make_directory(sidecar_root);
    if (!made.ok() && made.code() != base::Code::already_exists)
        return made;
    auto starts = read_starts();
    DVEC_TRY(starts);
    Starts &list = starts.value();
    if (list.size() >= most_starts)
        list.erase(list.begin(), list.end() - static_cast<std::ptrdiff_t>(most_starts - 1));
    const uint32 flags = flags_of_this_start();
    const bool foreign = (flags & ServerStart::foreign_recovery) != 0;
    list.push_back({number, foreign ? foreign_end : ServerStart::unknown, flags, 0});
    return write_starts(list);
}

// The permissions of the data directory may have been changed since the folder was created.
base::Status follow_data_directory() {
    if (chmod(sidecar_root, static_cast<mode_t>(pg_dir_create_mode)) == 0)
        return {};
    return base::Status::from_errno(errno, "could not set the permissions of directory \"dvec\"");
}

// That of a foreign recovery stays as it was when that began.
base::Status set_recovery_end(uint64 number, uint64 end) {
    auto starts = read_starts();
    DVEC_TRY(starts);
    for (ServerStart &start : starts.value())
        if (start.number == number && (start.flags & ServerStart::foreign_recovery) == 0)
            start.recovery_end = end;
    return write_starts(starts.value());
}

uint64 new_number() noexcept {
    uint64 number = 0;
    if (!pg_strong_random(&number, sizeof number))
        number = static_cast<uint64>(GetCurrentTimestamp()) << 16 ^ static_cast<uint64>(getpid());
    return number != 0 ? number : 1;
}

// The starts after `start`, oldest first. Nothing when the history does not go back to `start`.
std::optional<Starts> starts_after(uint64 start) {
    const uint64 running = registry()->server_start;
    if (start == running)
        return Starts();
    auto starts = base::guarded([] { return read_starts(); });
    if (!starts.ok())
        return std::nullopt;
    Starts &list = starts.value();
    const auto at = std::find_if(list.begin(), list.end(),
                                 [start](const ServerStart &past) { return past.number == start; });
    if (at == list.end() || list.back().number != running)
        return std::nullopt;
    list.erase(list.begin(), at + 1);
    return std::move(list);
}

}  // namespace

uint64 note_server_start() noexcept {
    const uint64 number = new_number();
    const uint64 foreign_end = least_recovery();
    const PendingError error =
        pending_error(base::guarded([=] { return add_start(number, foreign_end); }));
    hold_folder();
    report(LOG, error);
    report(LOG, pending_error(base::guarded([] { return follow_data_directory(); })));
    if (error)
        report(LOG, pending_error(base::guarded([] { return forget_starts(); })));
    return number;
}

void note_recovery_end() {
    Registry *table = registry();
    if (table->recovery_end_noted.load(std::memory_order_acquire))
        return;
    const uint64 end = wal_recovery_end();
    PendingError error;
    {
        const Holding hold(table->starts_lock);
        if (table->recovery_end_noted.load())
            return;
        error = pending_error(
            base::guarded([&] { return set_recovery_end(table->server_start, end); }));
        table->recovery_end_noted.store(true, std::memory_order_release);
    }
    report(WARNING, error);
}

std::uint64_t ServerStarts::current_start() const noexcept { return registry()->server_start; }

std::optional<std::uint64_t> ServerStarts::surviving_end(std::uint64_t start) const noexcept {
    const auto starts = starts_after(start);
    if (!starts)
        return std::nullopt;
    std::uint64_t lowest = nothing_lost;
    for (const ServerStart &past : *starts) {
        if (past.recovery_end == ServerStart::unknown)
            return std::nullopt;
        if (past.recovery_end != ServerStart::none)
            lowest = std::min(lowest, past.recovery_end);
    }
    return lowest;
}

namespace {

store::WalHistory::Foreign foreign_recovery_of(const ServerStart &start) noexcept {
    using Foreign = store::WalHistory::Foreign;
    if ((start.flags & ServerStart::foreign_recovery) == 0)
        return Foreign::none;
    return (start.flags & ServerStart::restored) != 0 || start.recovery_end == ServerStart::unknown
               ? Foreign::unknown
               : Foreign::continuing;
}

}  // namespace

store::WalHistory::Foreign ServerStarts::foreign_recovery_since(
    std::uint64_t start) const noexcept {
    const auto starts = starts_after(start);
    if (!starts)
        return Foreign::unknown;
    Foreign worst = Foreign::none;
    for (const ServerStart &past : *starts)
        worst = std::max(worst, foreign_recovery_of(past));
    return worst;
}

bool ServerStarts::file_system_held_since(std::uint64_t start) const noexcept {
    const auto starts = starts_after(start);
    return starts && held_folder >= 0 &&
           std::all_of(starts->begin(), starts->end(), [](const ServerStart &past) {
               return (past.flags & ServerStart::held) != 0;
           });
}

}  // namespace dvec::postgres
