// A file in memory is a range of addresses that is reserved once; its beginning is memory, as much
// as the file has. All mappings of the file are this range, so none of them ever moves.
//
// The system's own files in memory (memfd) have large pages only where all shared memory has them,
// which nobody gives it by default. For memory of its own a process may ask for them.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/base/file.hpp"

namespace dvec::base {
namespace {

// Shorter files take memory by the small page: the rest of a large one would be too great a part of
// what they take.
constexpr std::uint64_t least_in_large_pages = 4 * large_page;

// More is reserved for no file.
constexpr std::uint64_t most_addresses = std::uint64_t{1} << 44;

Status failure(const char *action, const std::string &path) {
    const int error_number = errno;
    return Status::from_errno(error_number,
                              std::string("could not ") + action + " in memory \"" + path + "\"");
}

// Finds the pages now: one that the system could not find later, at the first store into it, would
// end the process.
bool find_pages(std::byte *begin, std::uint64_t size) noexcept {
#ifdef MADV_POPULATE_WRITE
    if (::madvise(begin, size, MADV_POPULATE_WRITE) == 0)
        return true;
    if (errno != EINVAL)
        return false;
#endif
    // Linux before 5.14.
    for (std::uint64_t at = 0; at < size; at += small_page())
        *static_cast<volatile std::byte *>(begin + at) = std::byte{};
    return true;
}

class MemoryFile final : public File {
  public:
    // `addresses` begin with those of the file, after at most a large page.
    MemoryFile(std::string path, Mapping addresses)
        : File(std::move(path)),
          addresses_(std::make_shared<const Mapping>(std::move(addresses))),
          begin_(first_large_page(addresses_->data())) {}

    Result<std::uint64_t> size() override { return size_.load(std::memory_order_acquire); }
    // No file of the system's is on this device.
    Result<FileIdentity> identity() override {
        return FileIdentity{.device = ~std::uint64_t{0}, .inode = number_};
    }
    Result<std::uint64_t> change_time() override { return std::uint64_t{0}; }

    Status read(std::uint64_t offset, void *data, std::size_t size) override {
        if (offset > size_ || size > size_ - offset)
            return Status(Code::corrupt,
                          "could not read file \"" + path() + "\": unexpected end of file");
        if (size > 0)
            std::memcpy(data, begin_ + offset, size);
        return {};
    }

    Status write(std::uint64_t offset, const void *data, std::size_t size) override {
        if (size == 0)
            return {};
        DVEC_TRY(allocate(offset + size));
        std::memcpy(begin_ + offset, data, size);
        return {};
    }

    Status allocate(std::uint64_t size) override {
        if (size <= size_)
            return {};
        if (size > addresses_->size() - large_page)
            return Status(Code::no_space, "file in memory \"" + path() + "\" has no more room");
        DVEC_TRY(take(memory_of_file(size)));
        size_.store(size, std::memory_order_release);
        return {};
    }

    Status truncate(std::uint64_t size) override {
        if (size >= size_)
            return allocate(size);
        std::memset(begin_ + size, 0, size_ - size);
        size_.store(size, std::memory_order_release);
        return {};
    }

    Status sync() override { return {}; }

    Result<Mapping> map(std::size_t size, Access) override {
        return Mapping(begin_, size, addresses_);
    }

  private:
    // Makes memory of the first so many bytes.
    Status take(std::uint64_t bytes) {
        if (bytes <= taken_)
            return {};
        std::byte *const begin = begin_ + taken_;
        const std::uint64_t more = bytes - taken_;
        if (::mprotect(begin, more, PROT_READ | PROT_WRITE) != 0)
            return failure("extend file", path());
        if (!find_pages(begin, more)) {
            Status failed = failure("extend file", path());
            (void)::madvise(begin, more, MADV_DONTNEED);
            (void)::mprotect(begin, more, PROT_NONE);
            return failed;
        }
        taken_ = bytes;
        return {};
    }

    static std::byte *first_large_page(std::byte *address) noexcept {
        const auto number = reinterpret_cast<std::uintptr_t>(address);
        return address + (round_up(number, large_page) - number);
    }
    static std::uint64_t next_number() noexcept {
        static std::atomic<std::uint64_t> last{0};
        return ++last;
    }

    const std::shared_ptr<const Mapping> addresses_;
    std::byte *const begin_;
    const std::uint64_t number_ = next_number();
    // Whoever has the file open may ask for it while another one extends the file.
    std::atomic<std::uint64_t> size_{0};
    std::uint64_t taken_ = 0;
};

}  // namespace

std::uint64_t memory_of_file(std::uint64_t bytes) noexcept {
    return round_up(bytes, bytes < least_in_large_pages ? small_page() : large_page);
}

Result<std::unique_ptr<File>> make_memory_file(const std::string &path, std::uint64_t most) {
    // A large page more, so that the file may begin with one.
    const std::uint64_t room = round_up(std::min(most, most_addresses), large_page) + large_page;
    void *const addresses = ::mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (addresses == MAP_FAILED)
        return failure("create file", path);
    Mapping reserved(static_cast<std::byte *>(addresses), room);
    // A process that this one starts has no use for it.
    if (::madvise(addresses, room, MADV_DONTFORK) != 0)
        return failure("create file", path);
#ifdef MADV_HUGEPAGE
    (void)::madvise(addresses, room, MADV_HUGEPAGE);
#endif
    return std::unique_ptr<File>(std::make_unique<MemoryFile>(path, std::move(reserved)));
}

}  // namespace dvec::base
