// The engine's only door to the operating system's files. Everything that must survive a crash goes
// through these interfaces, so that a test can put a file system behind them that tears writes,
// loses unsynced pages, fails a sync or runs out of space. Code that must be fast does not use
// these interfaces: it works on mappings.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/status.hpp"

namespace dvec::base {

// Which file this is, independent of its name: a copy has another identity, a rename keeps it. The
// inode number of a file that was removed is soon given to another file, so the time of birth is a
// part of the identity.
struct FileIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t born = 0;  // nanoseconds since 1970; 0 where the file system does not tell
    // The mount that the file was reached through, by a number that no other mount gets until the
    // machine is restarted; 0 where the system has none (Linux before 6.8).
    std::uint64_t mount = 0;
    bool operator==(const FileIdentity &) const = default;
};

enum class Access : std::uint8_t { read_only, read_write };

// How a file is read: here and there, so that reading ahead around a page is of no use; or from the
// beginning to the end.
enum class Reading : std::uint8_t { scattered, in_order };

// Pages of memory in which a file is kept: a page stays as it came.
enum class Pages : std::uint8_t { small, large };
inline constexpr std::size_t large_page = std::size_t{2} << 20;
std::size_t small_page() noexcept;

constexpr std::uint64_t round_up(std::uint64_t bytes, std::uint64_t unit) noexcept {
    return (bytes + unit - 1) / unit * unit;
}

// Files up to so many bytes are kept in large pages where the system has them for files: then a
// process that maps one needs fewer page tables, and its processor's address cache reaches
// further. But what is written is written by the page. Of this process.
inline std::atomic<std::uint64_t> most_in_large_pages{std::uint64_t{256} << 20};

inline Pages pages_of(std::uint64_t file_bytes) noexcept {
    return file_bytes <= most_in_large_pages.load(std::memory_order_relaxed) ? Pages::large
                                                                             : Pages::small;
}

// A shared mapping of the beginning of a file. Owns the mapping, not the file. The mapped length
// may exceed the file's size, so that the file can grow without moving the mapping; touching a byte
// beyond the file's size is fatal (SIGBUS), so users bound every access by the size known to be
// allocated.
class Mapping {
  public:
    Mapping() noexcept = default;
    Mapping(std::byte *data, std::size_t size) noexcept : data_(data), size_(size) {}
    // Of a file in memory: a part of `memory`, which stays for as long as this does.
    Mapping(std::byte *data, std::size_t size, std::shared_ptr<const Mapping> memory) noexcept
        : data_(data), size_(size), memory_(std::move(memory)) {}
    Mapping(Mapping &&other) noexcept;
    Mapping &operator=(Mapping &&other) noexcept;
    Mapping(const Mapping &) = delete;
    Mapping &operator=(const Mapping &) = delete;
    ~Mapping();

    std::byte *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return data_ == nullptr; }

    // Makes the mapping at least `size` bytes long. The address may change, but for a file in
    // memory: pointers into the old range are invalid afterwards, and no other thread may be using
    // them.
    Status extend(std::size_t size);

    // Brings the pages of bytes [begin, end) into memory and makes them ready to be written, so
    // that the first store to each is cheap: through this mapping at once, through those of other
    // processes after a short fault. The file must have disk space for all of these bytes. Changes
    // no byte. Where the system cannot do this, nothing happens.
    void populate(std::size_t begin, std::size_t end) const noexcept;

    // Brings the pages of bytes [begin, end) into memory and reads those from disk that are not
    // there, as small or, where the system has them and no small one is in the way, as large ones.
    // The file must have disk space for all of these bytes. Advice to the system stays with this
    // mapping, so it should be one for this alone. Fails when the disk does.
    Status bring_in(std::size_t begin, std::size_t end, Pages pages) const;

    // Of a file in memory: gives the memory of bytes [begin, end) back to the system; `begin` is a
    // multiple of the page size, and the page of the last byte goes as a whole. The bytes read as
    // zero afterwards, in every mapping. Of another file: nothing.
    void give_back(std::size_t begin, std::size_t end) const noexcept;

    // Tells the system how pages of this mapping that are not in memory will be read from now on. A
    // hint; where the system cannot take it, nothing happens.
    void expect(Reading reading) const noexcept;

    // Whether the page of byte `at` is in memory, whichever process has brought it in. Brings in
    // nothing itself. True where the system does not tell.
    bool in_memory(std::size_t at) const noexcept;

  private:
    void release() noexcept;

    std::byte *data_ = nullptr;
    std::size_t size_ = 0;
    // Null: the mapping is this one's own. Otherwise all of it is in memory at any time.
    std::shared_ptr<const Mapping> memory_;
};

// An open file. Not thread safe beyond what pread and pwrite give.
class File {
  public:
    virtual ~File() = default;

    virtual Result<std::uint64_t> size() = 0;
    virtual Result<FileIdentity> identity() = 0;
    // When contents or attributes last changed, in nanoseconds since 1970. Copying a file, or
    // writing it in place with other bytes, gives it another; no tool can set it back.
    virtual Result<std::uint64_t> change_time() = 0;

    // Reads exactly `size` bytes; Code::corrupt when the file ends before.
    virtual Status read(std::uint64_t offset, void *data, std::size_t size) = 0;
    virtual Status write(std::uint64_t offset, const void *data, std::size_t size) = 0;

    // Extends the file to at least `size` bytes with disk space behind every byte, which read as
    // zero. Never shrinks. Code::no_space leaves the file usable at its former size.
    virtual Status allocate(std::uint64_t size) = 0;
    virtual Status truncate(std::uint64_t size) = 0;

    // Returns once everything written to the file, through write() or any mapping of it, by any
    // process, is on stable storage.
    virtual Status sync() = 0;

    // Maps the first `size` bytes, shared with every other mapping of the file.
    virtual Result<Mapping> map(std::size_t size, Access access) = 0;

    const std::string &path() const noexcept { return path_; }

  protected:
    explicit File(std::string path) : path_(std::move(path)) {}

  private:
    std::string path_;
};

enum class OpenMode : std::uint8_t {
    read_only,   // must exist
    read_write,  // must exist
    create       // must not exist; read and write
};

// Names and folders. Files are created with mode 0640, folders with 0750, without the bits that the
// umask of the process masks: a server's umask masks those of the group, unless its data directory
// grants group access.
class FileSystem {
  public:
    virtual ~FileSystem() = default;

    virtual Result<std::unique_ptr<File>> open(const std::string &path, OpenMode mode) = 0;
    virtual Status make_directory(const std::string &path) = 0;
    virtual Status rename(const std::string &from, const std::string &to) = 0;
    virtual Status remove(const std::string &path) = 0;  // a file; Code::not_found when absent
    // Removes a folder and the files in it. Folders inside it are not expected and make it fail. A
    // file or a symbolic link in its place is removed itself.
    virtual Status remove_directory(const std::string &path) = 0;
    virtual Result<bool> exists(const std::string &path) = 0;
    // The names in a folder, without "." and "..", in no order.
    virtual Result<std::vector<std::string>> list(const std::string &path) = 0;
    // Makes creations, renames and removals in the folder durable.
    virtual Status sync_directory(const std::string &path) = 0;
};

// A new file in memory of this process, of `most` bytes at most, which nobody else can open. Its
// mappings have one address and can be written to, whatever was asked for, and a store beyond the
// size of the file ends the process. The memory is free again when neither the file nor a mapping
// of it is left. Large pages where the system has them for who asks. `path` is only what messages
// call it. A failure means that the system cannot do this, or does not allow it.
Result<std::unique_ptr<File>> make_memory_file(const std::string &path, std::uint64_t most);

// How much memory a file in memory takes that was extended to so many bytes and never shortened.
std::uint64_t memory_of_file(std::uint64_t bytes) noexcept;

// The real one. Stateless and usable from any thread. It is never destroyed: a process may exit
// while threads that link or prefetch are still at work.
FileSystem &posix_file_system() noexcept;

}  // namespace dvec::base
