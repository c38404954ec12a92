// A folder of its own for one test, gone with the object. In memory when the machine has such a
// file system, because tests make and remove thousands of files.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace dvec::test {

class TempDirectory {
  public:
    TempDirectory() : TempDirectory(usual_parent()) {}
    explicit TempDirectory(std::string pattern) {
        pattern += "/dvec-test-XXXXXX";
        if (::mkdtemp(pattern.data()) == nullptr) {
            ADD_FAILURE() << "cannot make a folder like " << pattern;
            std::abort();
        }
        path_ = pattern;
    }
    TempDirectory(const TempDirectory &) = delete;
    TempDirectory &operator=(const TempDirectory &) = delete;
    ~TempDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::string &path() const { return path_; }
    std::string file(const std::string &name) const { return path_ + "/" + name; }
    // Of all files in it; not in folders.
    std::uint64_t bytes() const {
        std::uint64_t bytes = 0;
        for (const auto &entry : std::filesystem::directory_iterator(path_))
            bytes += entry.is_regular_file() ? entry.file_size() : 0;
        return bytes;
    }

  private:
    static const char *usual_parent() {
        const char *chosen = std::getenv("TMPDIR");
        return chosen != nullptr ? chosen : ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    }

    std::string path_;
};

// A whole file, in one piece. Used to damage files byte by byte.
inline std::vector<char> read_bytes(const std::string &path) {
    std::ifstream stream(path, std::ios::binary);
    EXPECT_TRUE(stream.good()) << path;
    return {std::istreambuf_iterator<char>(stream), {}};
}

// Replaces the contents of a file.
inline void write_bytes(const std::string &path, const std::vector<char> &bytes) {
    std::ofstream stream(path, std::ios::binary | std::ios::trunc);
    stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    stream.close();
    EXPECT_TRUE(stream.good()) << path;
}

// Inverts the bits of `mask` in one byte of a file, in place.
inline void flip_bits(const std::string &path, std::uint64_t offset, int mask) {
    std::fstream stream(path, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekg(static_cast<std::streamoff>(offset));
    const int byte = stream.get();
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put(static_cast<char>(byte ^ mask));
    stream.close();
    EXPECT_TRUE(stream.good()) << path;
}

}  // namespace dvec::test
