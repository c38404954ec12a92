// The operating system behind base/file.hpp: plain POSIX calls, each retried on EINTR, each failure
// turned into a Status that names the file.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/base/file.hpp"

namespace dvec::base {

namespace {

std::string quoted(const char *action, const std::string &path) {
    return std::string("could not ") + action + " \"" + path + "\"";
}

Status failure(const char *action, const std::string &path) {
    const int error_number = errno;
    return Status::from_errno(error_number, quoted(action, path));
}

// STATX_MNT_ID_UNIQUE, for headers older than the kernel. A kernel that does not know it ignores
// it.
constexpr unsigned unique_mount_id = 0x4000;

template <class Call>
auto retried(Call call) {
    auto result = call();
    while (result == -1 && errno == EINTR)
        result = call();
    return result;
}

class PosixFile final : public File {
  public:
    PosixFile(std::string path, int descriptor) : File(std::move(path)), descriptor_(descriptor) {}
    PosixFile(const PosixFile &) = delete;
    PosixFile &operator=(const PosixFile &) = delete;
    ~PosixFile() override { ::close(descriptor_); }

    Result<std::uint64_t> size() override {
        struct stat info;
        if (::fstat(descriptor_, &info) != 0)
            return failure("stat file", path());
        return static_cast<std::uint64_t>(info.st_size);
    }

    Result<FileIdentity> identity() override {
        struct statx info;
        if (::statx(descriptor_, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME | unique_mount_id,
                    &info) != 0)
            return failure("stat file", path());
        const std::uint64_t device = std::uint64_t{info.stx_dev_major} << 32 | info.stx_dev_minor;
        const std::uint64_t born =
            (info.stx_mask & STATX_BTIME) == 0
                ? 0
                : static_cast<std::uint64_t>(info.stx_btime.tv_sec) * 1'000'000'000u +
                      info.stx_btime.tv_nsec;
        const std::uint64_t mount =
            (info.stx_mask & unique_mount_id) == 0 ? 0 : std::uint64_t{info.stx_mnt_id};
        return FileIdentity{device, info.stx_ino, born, mount};
    }

    Result<std::uint64_t> change_time() override {
        struct stat info;
        if (::fstat(descriptor_, &info) != 0)
            return failure("stat file", path());
        return static_cast<std::uint64_t>(info.st_ctim.tv_sec) * 1'000'000'000u +
               static_cast<std::uint64_t>(info.st_ctim.tv_nsec);
    }

    Status read(std::uint64_t offset, void *data, std::size_t size) override {
        auto *target = static_cast<std::byte *>(data);
        while (size > 0) {
            const ssize_t count = retried(
                [&] { return ::pread(descriptor_, target, size, static_cast<off_t>(offset)); });
            if (count < 0)
                return failure("read file", path());
            if (count == 0)
                return Status(Code::corrupt,
                              quoted("read file", path()) + ": unexpected end of file");
            target += count;
            offset += static_cast<std::uint64_t>(count);
            size -= static_cast<std::size_t>(count);
        }
        return {};
    }

    Status write(std::uint64_t offset, const void *data, std::size_t size) override {
        const auto *source = static_cast<const std::byte *>(data);
        while (size > 0) {
            const ssize_t count = retried(
                [&] { return ::pwrite(descriptor_, source, size, static_cast<off_t>(offset)); });
            if (count < 0)
                return failure("write file", path());
            source += count;
            offset += static_cast<std::uint64_t>(count);
            size -= static_cast<std::size_t>(count);
        }
        return {};
    }

    Status allocate(std::uint64_t size) override {
        auto current = this->size();
        DVEC_TRY(current);
        if (current.value() >= size)
            return {};
        // posix_fallocate returns its error instead of setting errno.
        int error_number;
        do {
            error_number = ::posix_fallocate(descriptor_, static_cast<off_t>(current.value()),
                                             static_cast<off_t>(size - current.value()));
        } while (error_number == EINTR);
        if (error_number != 0) {
            // A half-done extension is given back, so that the space is free for others and the
            // next attempt starts from the same size.
            if (::ftruncate(descriptor_, static_cast<off_t>(current.value())) != 0)
                return failure("truncate file", path());
            return Status::from_errno(error_number, quoted("extend file", path()));
        }
        return {};
    }

    Status truncate(std::uint64_t size) override {
        if (retried([&] { return ::ftruncate(descriptor_, static_cast<off_t>(size)); }) != 0)
            return failure("truncate file", path());
        return {};
    }

    Status sync() override {
        // On Linux this also writes back dirty pages of shared mappings, whichever process has
        // dirtied them.
        if (retried([&] { return ::fdatasync(descriptor_); }) != 0)
            return failure("sync file", path());
        return {};
    }

    Result<Mapping> map(std::size_t size, Access access) override {
        const int protection = access == Access::read_only ? PROT_READ : PROT_READ | PROT_WRITE;
        void *address = ::mmap(nullptr, size, protection, MAP_SHARED, descriptor_, 0);
        if (address == MAP_FAILED)
            return failure("map file", path());
        return Mapping(static_cast<std::byte *>(address), size);
    }

  private:
    int descriptor_;
};

class PosixFileSystem final : public FileSystem {
  public:
    Result<std::unique_ptr<File>> open(const std::string &path, OpenMode mode) override {
        int flags = O_CLOEXEC;
        switch (mode) {
            case OpenMode::read_only:
                flags |= O_RDONLY;
                break;
            case OpenMode::read_write:
                flags |= O_RDWR;
                break;
            case OpenMode::create:
                flags |= O_RDWR | O_CREAT | O_EXCL;
                break;
        }
        const int descriptor = retried([&] { return ::open(path.c_str(), flags, 0640); });
        if (descriptor < 0)
            return failure(mode == OpenMode::create ? "create file" : "open file", path);
        return std::unique_ptr<File>(std::make_unique<PosixFile>(path, descriptor));
    }

    Status make_directory(const std::string &path) override {
        if (::mkdir(path.c_str(), 0750) != 0)
            return failure("create directory", path);
        return {};
    }

    Status rename(const std::string &from, const std::string &to) override {
        if (::rename(from.c_str(), to.c_str()) != 0)
            return failure("rename file", from);
        return {};
    }

    Status remove(const std::string &path) override {
        if (::unlink(path.c_str()) != 0)
            return failure("remove file", path);
        return {};
    }

    Status remove_directory(const std::string &path) override {
        // The folder that a symbolic link leads to is not ours and must not be emptied.
        struct stat info;
        if (::lstat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode))
            return remove(path);
        auto names = list(path);
        DVEC_TRY(names);
        for (const std::string &name : names.value())
            DVEC_TRY(remove(path + "/" + name));
        if (::rmdir(path.c_str()) != 0)
            return failure("remove directory", path);
        return {};
    }

    Result<bool> exists(const std::string &path) override {
        struct stat info;
        if (::stat(path.c_str(), &info) == 0)
            return true;
        if (errno == ENOENT || errno == ENOTDIR)
            return false;
        return failure("stat file", path);
    }

    Result<std::vector<std::string>> list(const std::string &path) override {
        struct Closer {
            void operator()(DIR *directory) const { ::closedir(directory); }
        };
        const std::unique_ptr<DIR, Closer> directory(::opendir(path.c_str()));
        if (!directory)
            return failure("open directory", path);
        std::vector<std::string> names;
        for (;;) {
            errno = 0;
            const dirent *entry = ::readdir(directory.get());
            if (entry == nullptr) {
                if (errno != 0)
                    return failure("read directory", path);
                return names;
            }
            std::string name = entry->d_name;
            if (name != "." && name != "..")
                names.push_back(std::move(name));
        }
    }

    Status sync_directory(const std::string &path) override {
        const int descriptor =
            retried([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
        if (descriptor < 0)
            return failure("open directory", path);
        const int outcome = retried([&] { return ::fsync(descriptor); });
        const Status status = outcome == 0 ? Status() : failure("sync directory", path);
        ::close(descriptor);
        return status;
    }
};

}  // namespace

namespace {

// The least that systems are usually set to read ahead: of one demand they read no more.
constexpr std::size_t read_at_once = std::size_t{128} << 10;

// The system reads ahead by its own measure, from a page on that was read so: in small pages for
// many megabytes, where the header of a file had been looked at and large ones are wanted, and in
// large ones where it reads far ahead and small ones are wanted. So it is told page by page what to
// do. Where it has no large pages, asking for them fails and does no harm.
void expect_reading_of(std::byte *begin, std::size_t size, Pages pages) noexcept {
#ifdef MADV_HUGEPAGE
    if (pages == Pages::large && ::madvise(begin, size, MADV_HUGEPAGE) == 0)
        return;
#endif
    (void)::madvise(begin, size, MADV_RANDOM);
    for (std::size_t at = 0; at < size; at += read_at_once)
        (void)::madvise(begin + at, std::min(read_at_once, size - at), MADV_WILLNEED);
}

}  // namespace

std::size_t small_page() noexcept {
    static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    return page;
}

Mapping::Mapping(Mapping &&other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      memory_(std::move(other.memory_)) {}

Mapping &Mapping::operator=(Mapping &&other) noexcept {
    if (this != &other) {
        release();
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
        memory_ = std::move(other.memory_);
    }
    return *this;
}

Mapping::~Mapping() { release(); }

void Mapping::release() noexcept {
    if (data_ != nullptr && memory_ == nullptr)
        ::munmap(data_, size_);
}

Status Mapping::extend(std::size_t size) {
    if (size <= size_)
        return {};
    if (memory_ != nullptr) {
        size_ = size;
        return {};
    }
    void *address = ::mremap(data_, size_, size, MREMAP_MAYMOVE);
    if (address == MAP_FAILED)
        return Status::from_errno(errno, "could not extend a file mapping");
    data_ = static_cast<std::byte *>(address);
    size_ = size;
    return {};
}

void Mapping::populate(std::size_t begin, std::size_t end) const noexcept {
#ifdef MADV_POPULATE_WRITE
    const std::size_t first = begin / small_page() * small_page();
    if (memory_ == nullptr && begin < end && end <= size_)
        (void)::madvise(data_ + first, end - first, MADV_POPULATE_WRITE);
#else
    (void)begin;
    (void)end;
#endif
}

Status Mapping::bring_in(std::size_t begin, std::size_t end, Pages pages) const {
    const std::size_t first = begin / small_page() * small_page();
    if (memory_ != nullptr || begin >= end || end > size_)
        return {};
    for (std::size_t at = first, next; at < end; at = next) {
        next = std::min(end, at / large_page * large_page + large_page);
        const bool may_be_large = next - at == large_page && !in_memory(at);
        expect_reading_of(data_ + at, next - at, may_be_large ? pages : Pages::small);
    }
#ifdef MADV_POPULATE_READ
    if (::madvise(data_ + first, end - first, MADV_POPULATE_READ) == 0)
        return {};
    // Linux before 5.14 does not know MADV_POPULATE_READ.
    if (errno != EINVAL)
        return Status::from_errno(errno, "could not read a mapped file");
#endif
    for (std::size_t at = first; at < end; at += small_page())
        static_cast<void>(*static_cast<const volatile std::byte *>(data_ + at));
    return {};
}

void Mapping::give_back(std::size_t begin, std::size_t end) const noexcept {
    if (memory_ != nullptr && begin < end && end <= size_)
        (void)::madvise(data_ + begin, end - begin, MADV_DONTNEED);
}

void Mapping::expect(Reading reading) const noexcept {
    if (data_ != nullptr && memory_ == nullptr)
        (void)::madvise(data_, size_,
                        reading == Reading::scattered ? MADV_RANDOM : MADV_SEQUENTIAL);
}

bool Mapping::in_memory(std::size_t at) const noexcept {
    unsigned char there = 1;
    if (memory_ != nullptr || at >= size_ ||
        ::mincore(data_ + at / small_page() * small_page(), 1, &there) != 0)
        return true;
    return (there & 1) != 0;
}

FileSystem &posix_file_system() noexcept {
    alignas(PosixFileSystem) static std::byte memory[sizeof(PosixFileSystem)];
    static FileSystem &file_system = *new (memory) PosixFileSystem;
    return file_system;
}

}  // namespace dvec::base
