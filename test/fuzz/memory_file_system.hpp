// Files without a disk for fuzzers: fast, gone with the process, and yet mapped as real ones are.
// Touching a page behind a file's end is fatal here too. All files claim one birth and one boot, so
// that a script decides what is believed of them.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/file.hpp"

namespace dvec::fuzz {

inline constexpr base::FileIdentity file_identity{.device = 1, .inode = 2, .born = 3, .mount = 4};
inline constexpr std::uint64_t file_change_time = 4;

// Ends the process, as the fuzzer's finding, when a promise is broken.
inline void require(bool promise, const char *file = __builtin_FILE(),
                    int line = __builtin_LINE()) {
    if (promise)
        return;
    std::fprintf(stderr, "%s:%d: a promise is broken\n", file, line);
    std::abort();
}

class MemoryFileSystem final : public base::FileSystem {
  public:
    // Makes a file, or replaces it.
    void put(const std::string &path, const void *data, std::size_t size) {
        auto file = std::make_shared<Descriptor>();
        require(::ftruncate(file->number, static_cast<off_t>(size)) == 0);
        require(::pwrite(file->number, data, size, 0) == static_cast<ssize_t>(size));
        files_[path] = std::move(file);
    }
    std::vector<char> get(const std::string &path) const {
        const auto &file = files_.at(path);
        std::vector<char> bytes(file->size());
        require(::pread(file->number, bytes.data(), bytes.size(), 0) ==
                static_cast<ssize_t>(bytes.size()));
        return bytes;
    }
    std::vector<std::string> paths() const {
        std::vector<std::string> all;
        for (const auto &[path, file] : files_)
            all.push_back(path);
        return all;
    }

    base::Result<std::unique_ptr<base::File>> open(const std::string &path,
                                                   base::OpenMode mode) override {
        if (path == "/proc/sys/kernel/random/boot_id" && !files_.contains(path))
            put(path, std::string(36, 'b').data(), 36);
        const auto found = files_.find(path);
        if (mode == base::OpenMode::create) {
            if (found != files_.end())
                return base::Status(base::Code::already_exists, path);
            put(path, "", 0);
        } else if (found == files_.end()) {
            return base::Status(base::Code::not_found, path);
        }
        return std::unique_ptr<base::File>(std::make_unique<MemoryFile>(path, files_.at(path)));
    }
    base::Status make_directory(const std::string &) override { return {}; }
    base::Status rename(const std::string &from, const std::string &to) override {
        const auto found = files_.find(from);
        if (found == files_.end())
            return {base::Code::not_found, from};
        auto file = std::move(found->second);
        files_.erase(found);
        files_[to] = std::move(file);
        return {};
    }
    base::Status remove(const std::string &path) override {
        return files_.erase(path) != 0 ? base::Status() : base::Status(base::Code::not_found, path);
    }
    base::Status remove_directory(const std::string &path) override {
        std::erase_if(files_, [&](const auto &file) { return file.first.starts_with(path + "/"); });
        return {};
    }
    base::Result<bool> exists(const std::string &path) override { return files_.contains(path); }
    base::Result<std::vector<std::string>> list(const std::string &path) override {
        std::vector<std::string> names;
        for (const auto &[name, file] : files_)
            if (name.starts_with(path + "/"))
                names.push_back(name.substr(path.size() + 1));
        return names;
    }
    base::Status sync_directory(const std::string &) override { return {}; }

  private:
    struct Descriptor {
        Descriptor() : number(::memfd_create("fuzz", MFD_CLOEXEC)) { require(number >= 0); }
        Descriptor(const Descriptor &) = delete;
        Descriptor &operator=(const Descriptor &) = delete;
        ~Descriptor() { ::close(number); }
        std::uint64_t size() const {
            return static_cast<std::uint64_t>(::lseek(number, 0, SEEK_END));
        }
        const int number;
    };

    class MemoryFile final : public base::File {
      public:
        MemoryFile(const std::string &path, std::shared_ptr<Descriptor> file)
            : File(path), file_(std::move(file)) {}

        base::Result<std::uint64_t> size() override { return file_->size(); }
        base::Result<base::FileIdentity> identity() override { return file_identity; }
        base::Result<std::uint64_t> change_time() override { return file_change_time; }
        base::Status read(std::uint64_t offset, void *data, std::size_t size) override {
            return done(::pread(file_->number, data, size, static_cast<off_t>(offset)), size);
        }
        base::Status write(std::uint64_t offset, const void *data, std::size_t size) override {
            return done(::pwrite(file_->number, data, size, static_cast<off_t>(offset)), size);
        }
        // Space is not accounted for, only the size.
        base::Status allocate(std::uint64_t size) override {
            return size <= file_->size() ? base::Status() : truncate(size);
        }
        base::Status truncate(std::uint64_t size) override {
            if (::ftruncate(file_->number, static_cast<off_t>(size)) != 0)
                return base::Status::from_errno(errno, path());
            return {};
        }
        base::Status sync() override { return {}; }
        base::Result<base::Mapping> map(std::size_t size, base::Access access) override {
            const int protection =
                access == base::Access::read_only ? PROT_READ : PROT_READ | PROT_WRITE;
            void *address = ::mmap(nullptr, size, protection, MAP_SHARED, file_->number, 0);
            require(address != MAP_FAILED);
            return base::Mapping(static_cast<std::byte *>(address), size);
        }

      private:
        base::Status done(ssize_t moved, std::size_t size) const {
            if (moved < 0)
                return base::Status::from_errno(errno, path());
            if (static_cast<std::size_t>(moved) != size)
                return {base::Code::corrupt, "unexpected end of file"};
            return {};
        }

        std::shared_ptr<Descriptor> file_;
    };

    std::map<std::string, std::shared_ptr<Descriptor>> files_;
};

// Takes numbers and bytes off the front of an input; zeros once it is used up.
class Script {
  public:
    Script(const std::uint8_t *data, std::size_t size) : data_(data), left_(size) {}

    std::uint8_t byte() { return number<std::uint8_t>(); }
    template <class Number>
    Number number() {
        Number value{};
        take(&value, sizeof value);
        return value;
    }
    // Copies what is left of `size` bytes; the rest of `target` stays as it is.
    void take(void *target, std::size_t size) {
        const std::size_t bytes = size < left_ ? size : left_;
        if (bytes != 0)
            std::memcpy(target, data_, bytes);
        data_ += bytes;
        left_ -= bytes;
    }
    std::size_t left() const { return left_; }

  private:
    const std::uint8_t *data_;
    std::size_t left_;
};

}  // namespace dvec::fuzz
