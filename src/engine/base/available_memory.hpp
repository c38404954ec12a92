// How much memory this process may still fill without taking what others need.
#pragma once

#include <cstdint>
#include <string>

namespace dvec::base {

// Where Linux tells of its memory; other folders are for tests.
struct MemoryFolders {
    std::string proc = "/proc";
    std::string control_groups = "/sys/fs/cgroup";
};

// In bytes: what the system calls available, which includes the page cache that it would give up,
// and no more than is left to the control groups (version 2) that this process is in. 0 where the
// system does not tell.
std::uint64_t available_memory(const MemoryFolders &folders = {});

}  // namespace dvec::base
