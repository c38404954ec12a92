#include "engine/base/available_memory.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string_view>

namespace dvec::base {

namespace {

constexpr std::uint64_t kibibyte = 1024;

// The number behind `name` in a file of names and numbers; 0 when it is not there.
std::uint64_t number_behind(const std::string &path, std::string_view name) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(name))
            return std::strtoull(line.c_str() + name.size(), nullptr, 10);
    return 0;
}

// A file of one number. False when there is none: a limit may be the word "max".
bool read_number(const std::string &path, std::uint64_t *number) {
    std::ifstream file(path);
    return static_cast<bool>(file >> *number);
}

// What a group may still take; what it uses as page cache counts as free, as it does for the
// system.
std::uint64_t left_to_group(const std::string &folder) {
    std::uint64_t limit = 0;
    std::uint64_t used = 0;
    if (!read_number(folder + "/memory.max", &limit) ||
        !read_number(folder + "/memory.current", &used))
        return std::numeric_limits<std::uint64_t>::max();
    const std::string statistics = folder + "/memory.stat";
    const std::uint64_t cache =
        number_behind(statistics, "inactive_file ") + number_behind(statistics, "active_file ");
    used -= std::min(used, cache);
    return limit - std::min(limit, used);
}

// The path of this process's group below the root of groups, as "/a/b"; in a container mostly "/".
std::string own_group(const std::string &proc) {
    constexpr std::string_view version_2 = "0::";
    std::ifstream file(proc + "/self/cgroup");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(version_2))
            return line.substr(version_2.size());
    return "/";
}

}  // namespace

std::uint64_t available_memory(const MemoryFolders &folders) {
    std::uint64_t available = number_behind(folders.proc + "/meminfo", "MemAvailable:") * kibibyte;
    // A limit of any group above holds as well.
    std::string group = own_group(folders.proc);
    for (;;) {
        available = std::min(available, left_to_group(folders.control_groups + group));
        const std::size_t last = group.rfind('/');
        if (group.empty() || last == std::string::npos)
            return available;
        group.erase(last);
    }
}

}  // namespace dvec::base
