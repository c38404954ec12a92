// Files of rows of equal length: fvecs (float32) and ivecs (int32). Each row is a 32-bit length and
// that many 32-bit values, little-endian. Every set of vectors is kept in this form, which is also
// the one that public sets come in.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

#include "bench/client/arguments.hpp"

namespace dvec::bench {

// A mapped file, for as long as the object lives. Read only; any thread.
template <typename Value>
class RowFile {
    static_assert(sizeof(Value) == 4);

  public:
    explicit RowFile(const std::string &path) {
        const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        struct stat facts;
        if (descriptor < 0 || ::fstat(descriptor, &facts) != 0)
            fail("cannot read " + path);
        bytes_ = static_cast<std::size_t>(facts.st_size);
        if (bytes_ < 2 * sizeof(Value))
            fail(path + " is empty");
        void *address = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, descriptor, 0);
        ::close(descriptor);
        if (address == MAP_FAILED)
            fail("cannot map " + path);
        words_ = static_cast<const std::int32_t *>(address);
        width_ = static_cast<std::size_t>(words_[0]);
        if (words_[0] <= 0 || bytes_ % ((width_ + 1) * sizeof(Value)) != 0)
            fail(path + " is not a file of rows of equal length");
        count_ = bytes_ / ((width_ + 1) * sizeof(Value));
        // Of large files not every row, which would read them whole.
        for (std::size_t i = 0; i < std::min(count_, most_checked); ++i) {
            const std::size_t row = i * count_ / std::min(count_, most_checked);
            if (words_[row * (width_ + 1)] != words_[0])
                fail(path + " has rows of different lengths");
        }
    }

    RowFile(const RowFile &) = delete;
    RowFile &operator=(const RowFile &) = delete;

    ~RowFile() { ::munmap(const_cast<std::int32_t *>(words_), bytes_); }

    std::size_t count() const { return count_; }
    std::size_t width() const { return width_; }

    const Value *operator[](std::size_t row) const {
        return reinterpret_cast<const Value *>(words_ + row * (width_ + 1) + 1);
    }

  private:
    static constexpr std::size_t most_checked = 10'000;

    const std::int32_t *words_ = nullptr;
    std::size_t bytes_ = 0;
    std::size_t width_ = 0;
    std::size_t count_ = 0;
};

// Writes beside the place and renames, so that an interrupted run leaves no half file.
class RowWriter {
  public:
    RowWriter(const std::string &path, std::size_t width)
        : path_(path), width_(static_cast<std::int32_t>(width)) {
        file_ = std::fopen((path + ".new").c_str(), "wb");
        if (file_ == nullptr)
            fail("cannot write " + path);
    }

    RowWriter(const RowWriter &) = delete;
    RowWriter &operator=(const RowWriter &) = delete;

    ~RowWriter() {
        if (file_ != nullptr)
            std::fclose(file_);
    }

    template <typename Value>
    void add(const Value *values) {
        static_assert(sizeof(Value) == 4);
        const auto count = static_cast<std::size_t>(width_);
        if (std::fwrite(&width_, sizeof width_, 1, file_) != 1 ||
            std::fwrite(values, sizeof(Value), count, file_) != count)
            fail("cannot write " + path_);
    }

    void finish() {
        const bool closed = std::fclose(file_) == 0;
        file_ = nullptr;
        if (!closed || std::rename((path_ + ".new").c_str(), path_.c_str()) != 0)
            fail("cannot write " + path_);
    }

  private:
    std::string path_;
    std::int32_t width_;
    std::FILE *file_ = nullptr;
};

}  // namespace dvec::bench
