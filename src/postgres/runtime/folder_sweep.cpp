// PostgreSQL keeps a dropped relation's file (empty) until its next checkpoint, so that the file's
// number is not used again before; a folder therefore outlives its index until then.
//
// A number can be reused between our look at the relation file and the removal of the folder.
// Whoever creates a folder does so with the relation file in place and under a shared folder_lock,
// so moving the folder out of the way happens under the exclusive lock, after a second look.
#include "postgres/runtime/folder_sweep.hpp"

#include <charconv>
#include <fcntl.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "engine/base/file.hpp"
#include "postgres/bridge/cleanup.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

namespace {

constexpr std::string_view trash_prefix = "trash.";

// Of a file system.
constexpr off_t most_block_bytes = 1 << 20;

bool parse_number(std::string_view *text, Oid *number) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), *number);
    if (error != std::errc{})
        return false;
    text->remove_prefix(static_cast<std::size_t>(end - text->data()));
    return true;
}

bool skip(std::string_view *text, char c) {
    if (text->empty() || text->front() != c)
        return false;
    text->remove_prefix(1);
    return true;
}

// The inverse of index_directory; nothing for a name it would not give.
std::optional<IndexFile> parse_name(std::string_view name) {
    IndexFile file{};
    file.backend = InvalidBackendId;
    std::string_view rest = name;
    if (!parse_number(&rest, &file.tablespace) || !skip(&rest, '_') ||
        !parse_number(&rest, &file.database) || !skip(&rest, '_'))
        return std::nullopt;
    if (skip(&rest, 't')) {
        Oid backend = 0;
        if (!parse_number(&rest, &backend) || !skip(&rest, '_'))
            return std::nullopt;
        file.backend = static_cast<int>(backend);
    }
    if (!parse_number(&rest, &file.number) || !rest.empty())
        return std::nullopt;
    return file;
}

bool relation_exists(const IndexFile &file) {
    char path[MAXPGPATH];
    const PendingError error = caught([&path, &file] {
        char *name = compat::relation_path(file);
        strlcpy(path, name, sizeof path);
        pfree(name);
    });
    // Any other error than "no such file" means that the folder is kept.
    return error || access(path, F_OK) == 0 || errno != ENOENT;
}

// Moves the folder away, unless its relation exists or a process is still working on it; in the
// latter case the next sweep does. `trash` receives the new path.
base::Status move_orphan(const std::string &directory, const IndexFile &file, std::string *trash) {
    const std::string target = std::string(sidecar_root) + "/" + std::string(trash_prefix) +
                               directory.substr(strlen(sidecar_root) + 1);
    const Holding folders(registry()->folder_lock);
    if (relation_exists(file) || !forget_idle_index(file))
        return {};
    DVEC_TRY(base::posix_file_system().rename(directory, target));
    *trash = target;
    return {};
}

// An idle session may keep a dropped index mapped for a long time, and removing a mapped file does
// not free its space. So holes are punched into the files first. Nobody reads them any more, since
// dropping the relation took a lock that excludes searches; should a process read them all the
// same, it finds zeros, whereas truncating the files would give it a bus error. If the file system
// cannot punch holes, the space is freed when the last session unmaps the files.
void give_space_back(const std::string &directory) {
    auto names = base::posix_file_system().list(directory);
    if (!names.ok())
        return;
    for (const std::string &name : names.value()) {
        const int descriptor =
            open((directory + "/" + name).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (descriptor < 0)
            continue;
        struct stat info;
        // Rounded up to the end of the last block, since part of a block would only be overwritten
        // with zeros.
        if (fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0)
            (void)fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                            info.st_size + most_block_bytes);
        close(descriptor);
    }
}

// A symbolic link does not count as a folder, since its target is not ours.
bool is_folder(const std::string &path) {
    struct stat info;
    return lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

base::Status sweep_one(const std::string &name) {
    base::FileSystem &files = base::posix_file_system();
    std::string path = std::string(sidecar_root) + "/" + name;
    if (!is_folder(path))
        return {};
    if (!std::string_view(name).starts_with(trash_prefix)) {
        const auto file = parse_name(name);
        if (!file || relation_exists(*file))
            return {};
        std::string trash;
        DVEC_TRY(move_orphan(path, *file, &trash));
        if (trash.empty())
            return {};
        path = trash;
    }
    give_space_back(path);
    return files.remove_directory(path);
}

// Frees entries whose folder was never created or is gone already.
void forget_entries_without_relation() {
    Registry *table = registry();
    for (const IndexEntry &entry : known_entries()) {
        LWLockAcquire(&table->lock, LW_SHARED);
        const bool used = entry.used;
        const IndexFile file = entry.file;
        LWLockRelease(&table->lock);
        if (used && !relation_exists(file))
            (void)forget_idle_index(file);
    }
}

base::Status sweep_folders() {
    auto names = base::posix_file_system().list(sidecar_root);
    if (!names.ok())
        return names.status().code() == base::Code::not_found ? base::Status()
                                                              : std::move(names).status();
    for (const std::string &name : names.value())
        report(WARNING, pending_error(base::guarded([&] { return sweep_one(name); })));
    return {};
}

}  // namespace

void sweep() {
    report(WARNING, pending_error(base::guarded([] { return sweep_folders(); })));
    forget_entries_without_relation();
}

}  // namespace dvec::postgres
