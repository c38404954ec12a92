// What a process has in memory of files that are nowhere else.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>

namespace dvec::test {

struct InMemoryFiles {
    std::uint64_t bytes = 0;
    std::uint64_t in_large_pages = 0;
};

// Of this process. No other memory is kept from the processes that it starts, which the system
// notes as "dc".
inline InMemoryFiles in_memory_files() {
    std::ifstream mappings("/proc/self/smaps");
    InMemoryFiles sum;
    InMemoryFiles one;
    const auto kilobytes = [](const std::string &line) {
        return std::stoull(line.substr(line.find(':') + 1)) << 10;
    };
    for (std::string line; std::getline(mappings, line);) {
        if (line.starts_with("Rss:")) {
            one.bytes = kilobytes(line);
        } else if (line.starts_with("AnonHugePages:")) {
            one.in_large_pages = kilobytes(line);
        } else if (line.starts_with("VmFlags:") && (line + " ").find(" dc ") != std::string::npos) {
            sum.bytes += one.bytes;
            sum.in_large_pages += one.in_large_pages;
        }
    }
    return sum;
}

// Whether that can be told. An emulator keeps to itself what a process asks for its memory.
inline bool in_memory_files_are_told() {
    constexpr std::size_t size = 1 << 16;
    const std::uint64_t before = in_memory_files().bytes;
    void *const memory =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || ::madvise(memory, size, MADV_DONTFORK) != 0)
        return false;
    *static_cast<volatile std::byte *>(memory) = std::byte{1};
    const bool told = in_memory_files().bytes > before;
    ::munmap(memory, size);
    return told;
}

}  // namespace dvec::test
