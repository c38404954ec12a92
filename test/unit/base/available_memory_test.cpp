// What is left of memory, from files as Linux has them.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "../support/temp_directory.hpp"
#include "engine/base/available_memory.hpp"

namespace dvec::base {
namespace {

class AvailableMemory : public testing::Test {
  protected:
    AvailableMemory() {
        write("proc/meminfo",
              "MemTotal:        2000 kB\nMemFree:          100 kB\nMemAvailable:    1000 kB\n");
    }

    void write(const std::string &name, const std::string &text) {
        const std::filesystem::path path = directory_.file(name);
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text;
    }
    // A group that may use so many bytes and uses some, `cache` of them as page cache.
    void group(const std::string &path, const std::string &limit, int used, int cache) {
        write("groups" + path + "/memory.max", limit + "\n");
        write("groups" + path + "/memory.current", std::to_string(used) + "\n");
        write("groups" + path + "/memory.stat",
              "anon 5\nfile 7\ninactive_file " + std::to_string(cache) + "\nactive_file 0\n");
    }
    std::uint64_t available() const {
        return available_memory({directory_.file("proc"), directory_.file("groups")});
    }

    test::TempDirectory directory_;
};

TEST_F(AvailableMemory, IsWhatTheSystemSays) {
    EXPECT_EQ(available(), 1000u * 1024);
    EXPECT_GT(available_memory(), 0u) << "of this machine";
}

TEST_F(AvailableMemory, IsNoneWhereNothingIsTold) {
    write("proc/meminfo", "MemTotal: 2000 kB\n");
    EXPECT_EQ(available(), 0u);
    std::filesystem::remove(directory_.file("proc/meminfo"));
    EXPECT_EQ(available(), 0u);
}

TEST_F(AvailableMemory, IsWithinTheLimitOfTheGroup) {
    write("proc/self/cgroup", "0::/server\n");
    group("/server", "500000", 200000, 0);
    EXPECT_EQ(available(), 300000u);
    group("/server", "500000", 200000, 150000);
    EXPECT_EQ(available(), 450000u) << "page cache can be given up";
    group("/server", "500000", 600000, 0);
    EXPECT_EQ(available(), 0u) << "a limit that was lowered";
    group("/server", "max", 600000, 0);
    EXPECT_EQ(available(), 1000u * 1024);
}

TEST_F(AvailableMemory, IsWithinTheLimitsOfGroupsAbove) {
    write("proc/self/cgroup", "1:cpu:/elsewhere\n0::/all/server\n");
    group("/all/server", "max", 1000, 0);
    group("/all", "400000", 100000, 0);
    EXPECT_EQ(available(), 300000u);
    group("", "200000", 0, 0);
    EXPECT_EQ(available(), 200000u) << "as a container sees its own";
}

}  // namespace
}  // namespace dvec::base
