// The file is small and written whole, under another name first, so that it is either the former
// one or the new one. Only the latest starts are kept; an index that was last used before is
// rebuilt.
#include "postgres/worker/server_starts.hpp"

#include <algorithm>
#include <unistd.h>
#include <vector>

#include "engine/base/checksum.hpp"
#include "engine/base/file.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/worker/registry.hpp"
#include "postgres/worker/wal.hpp"

extern "C" {
#include "access/xlog.h"
#include "utils/timestamp.h"
}

namespace dvec::postgres {

namespace {

constexpr const char *path = "dvec/starts";
constexpr const char *new_path = "dvec/starts.new";

constexpr uint32 starts_magic = 0x53435644;  // "DVCS"
constexpr uint32 starts_version = 2;
constexpr std::size_t most_starts = 1024;

// As they stand in the file, little-endian: a header, then the starts in order.
struct StartsHeader {
    uint32 magic;
    uint32 version;
    uint32 count;
    uint32 checksum;  // CRC-32C of the starts
};
struct ServerStart {
    uint64 number;
    uint64 recovery_end;  // an LSN, or one of:
    static constexpr uint64 none = 0;
    static constexpr uint64 unknown = store::WalHistory::nothing_lost;
    uint32 flags;
    static constexpr uint32 foreign_recovery = 1;
    uint32 reserved;  // 0
};
static_assert(sizeof(StartsHeader) == 16 && sizeof(ServerStart) == 24);

using Starts = std::vector<ServerStart>;

// A file that is missing or damaged is an empty history. So is one of an earlier version, which
// does not know of foreign recoveries.
base::Result<Starts> read_starts() {
    auto file = base::posix_file_system().open(path, base::OpenMode::read_only);
    if (!file.ok()) {
        if (file.status().code() == base::Code::not_found)
            return Starts();
        return std::move(file).status();
    }
    StartsHeader header;
    if (!file.value()->read(0, &header, sizeof header).ok() || header.magic != starts_magic ||
        header.version != starts_version || header.count > most_starts)
        return Starts();
    Starts starts(header.count);
    const std::size_t bytes = starts.size() * sizeof(ServerStart);
    if (!file.value()->read(sizeof header, starts.data(), bytes).ok() ||
        base::checksum(0, starts.data(), bytes) != header.checksum)
        return Starts();
    return starts;
}

base::Status write_starts(const Starts &starts) {
    base::FileSystem &files = base::posix_file_system();
    base::Status removed = files.remove(new_path);
    if (!removed.ok() && removed.code() != base::Code::not_found)
        return removed;
    auto file = files.open(new_path, base::OpenMode::create);
    if (!file.ok())
        return std::move(file).status();
    const std::size_t bytes = starts.size() * sizeof(ServerStart);
    const StartsHeader header{starts_magic, starts_version, static_cast<uint32>(starts.size()),
                              base::checksum(0, starts.data(), bytes)};
    DVEC_TRY(file.value()->write(0, &header, sizeof header));
    DVEC_TRY(file.value()->write(sizeof header, starts.data(), bytes));
    DVEC_TRY(file.value()->sync());
    DVEC_TRY(files.rename(new_path, path));
    return files.sync_directory(sidecar_root);
}

// As PostgreSQL will find it: what cannot be looked at may be there.
bool file_present(const char *name) noexcept { return access(name, F_OK) == 0 || errno != ENOENT; }

// Before recovery begins, which renames or removes these files at its end.
uint32 flags_of_this_start() noexcept {
    const bool foreign = file_present(BACKUP_LABEL_FILE) || file_present(RECOVERY_SIGNAL_FILE) ||
                         file_present(STANDBY_SIGNAL_FILE);
    return foreign ? ServerStart::foreign_recovery : 0;
}

base::Status add_start(uint64 number) {
    const base::Status made = base::posix_file_system().make_directory(sidecar_root);
    if (!made.ok() && made.code() != base::Code::already_exists)
        return made;
    auto starts = read_starts();
    if (!starts.ok())
        return std::move(starts).status();
    Starts &list = starts.value();
    if (list.size() >= most_starts)
        list.erase(list.begin(), list.end() - static_cast<std::ptrdiff_t>(most_starts - 1));
    list.push_back({number, ServerStart::unknown, flags_of_this_start(), 0});
    return write_starts(list);
}

// Removing takes no space, so it succeeds where writing did not.
base::Status forget_starts() {
    base::Status removed = base::posix_file_system().remove(path);
    if (removed.ok())
        return base::posix_file_system().sync_directory(sidecar_root);
    return removed.code() == base::Code::not_found ? base::Status() : removed;
}

base::Status set_recovery_end(uint64 number, uint64 end) {
    auto starts = read_starts();
    if (!starts.ok())
        return std::move(starts).status();
    for (ServerStart &start : starts.value())
        if (start.number == number)
            start.recovery_end = end;
    return write_starts(starts.value());
}

uint64 new_number() noexcept {
    uint64 number = 0;
    if (!pg_strong_random(&number, sizeof number))
        number = static_cast<uint64>(GetCurrentTimestamp()) << 16 ^ static_cast<uint64>(getpid());
    return number != 0 ? number : 1;
}

// The starts after `start`, oldest first; nothing when the history does not reach from there to the
// running one.
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
    const PendingError error = pending_error(base::guarded([&] { return add_start(number); }));
    report(LOG, error);
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

bool ServerStarts::foreign_recovery_since(std::uint64_t start) const noexcept {
    const auto starts = starts_after(start);
    return !starts || std::any_of(starts->begin(), starts->end(), [](const ServerStart &past) {
        return (past.flags & ServerStart::foreign_recovery) != 0;
    });
}

}  // namespace dvec::postgres
