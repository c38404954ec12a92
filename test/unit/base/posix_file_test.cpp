// The real file system behind base/file.hpp: names, bytes, sizes, mappings, and the codes of
// failures.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "../support/file_checks.hpp"
#include "../support/temp_directory.hpp"
#include "engine/base/file.hpp"

namespace dvec::base {
namespace {

class PosixFile : public testing::Test {
  protected:
    std::unique_ptr<File> open(const std::string &name, OpenMode mode) {
        auto file = system_.open(directory_.file(name), mode);
        EXPECT_TRUE(file.ok()) << file.status().message();
        return std::move(file).value();
    }

    std::uint64_t size_of(File &file) {
        const auto size = file.size();
        EXPECT_TRUE(size.ok());
        return size.value();
    }

    FileSystem &system_ = posix_file_system();
    test::TempDirectory directory_;
};

TEST_F(PosixFile, OpenModes) {
    const std::string path = directory_.file("f");
    EXPECT_EQ(system_.open(path, OpenMode::read_only).status().code(), Code::not_found);
    EXPECT_EQ(system_.open(path, OpenMode::read_write).status().code(), Code::not_found);
    EXPECT_EQ(open("f", OpenMode::create)->path(), path);
    EXPECT_EQ(system_.open(path, OpenMode::create).status().code(), Code::already_exists);
    EXPECT_NE(system_.open(path, OpenMode::create).status().message().find(path),
              std::string::npos);
    auto reader = open("f", OpenMode::read_only);
    EXPECT_FALSE(reader->write(0, "x", 1).ok());
    EXPECT_TRUE(open("f", OpenMode::read_write)->write(0, "x", 1).ok());
}

TEST_F(PosixFile, ModesOfNewFilesAndFolders) {
    const mode_t mask = ::umask(0);
    ::umask(mask);
    open("f", OpenMode::create);
    ASSERT_TRUE(system_.make_directory(directory_.file("d")).ok());
    struct stat info;
    ASSERT_EQ(::stat(directory_.file("f").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0640u & ~mask);
    ASSERT_EQ(::stat(directory_.file("d").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0750u & ~mask);
}

TEST_F(PosixFile, DescriptorsDoNotLeakIntoPrograms) {
    auto file = open("f", OpenMode::create);
    int found = 0;
    for (int descriptor = 3; descriptor < 100; ++descriptor) {
        struct stat mine;
        struct stat other;
        if (::fstat(descriptor, &other) != 0)
            continue;
        ASSERT_EQ(::stat(file->path().c_str(), &mine), 0);
        if (mine.st_ino != other.st_ino || mine.st_dev != other.st_dev)
            continue;
        ++found;
        EXPECT_NE(::fcntl(descriptor, F_GETFD) & FD_CLOEXEC, 0);
    }
    EXPECT_EQ(found, 1);
}

TEST_F(PosixFile, WritesAndReadsAnywhere) {
    test::check_that_it_writes_and_reads_anywhere(*open("f", OpenMode::create));
}

TEST_F(PosixFile, AllocateGrowsWithZerosAndNeverShrinks) {
    auto file = open("f", OpenMode::create);
    ASSERT_TRUE(file->write(0, "abc", 3).ok());
    ASSERT_TRUE(file->allocate(100'000).ok());
    EXPECT_EQ(size_of(*file), 100'000u);
    std::vector<char> bytes(100'000, 'x');
    ASSERT_TRUE(file->read(0, bytes.data(), bytes.size()).ok());
    EXPECT_EQ(std::string(bytes.data(), 3), "abc");
    EXPECT_TRUE(std::all_of(bytes.begin() + 3, bytes.end(), [](char byte) { return byte == 0; }));
    struct stat info;
    ASSERT_EQ(::stat(file->path().c_str(), &info), 0);
    EXPECT_GE(info.st_blocks * 512, 100'000) << "a hole is no space";
    ASSERT_TRUE(file->allocate(10).ok());
    EXPECT_EQ(size_of(*file), 100'000u);
}

TEST_F(PosixFile, RefusedAllocationLeavesTheSize) {
    auto file = open("f", OpenMode::create);
    ASSERT_TRUE(file->allocate(4096).ok());
    const Status status = file->allocate(std::uint64_t{1} << 62);
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(size_of(*file), 4096u);
}

TEST_F(PosixFile, Truncate) {
    auto file = open("f", OpenMode::create);
    ASSERT_TRUE(file->write(0, "abcdef", 6).ok());
    ASSERT_TRUE(file->truncate(2).ok());
    EXPECT_EQ(size_of(*file), 2u);
    ASSERT_TRUE(file->truncate(4).ok());
    char text[4];
    ASSERT_TRUE(file->read(0, text, 4).ok());
    EXPECT_EQ(std::string(text, 4), std::string("ab\0\0", 4));
}

TEST_F(PosixFile, IdentitySurvivesRenameButNotCopy) {
    auto file = open("f", OpenMode::create);
    const auto before = file->identity();
    ASSERT_TRUE(before.ok());
    EXPECT_NE(before.value().inode, 0u);
    ASSERT_TRUE(system_.rename(directory_.file("f"), directory_.file("g")).ok());
    EXPECT_EQ(open("g", OpenMode::read_only)->identity().value(), before.value());
    EXPECT_FALSE(open("h", OpenMode::create)->identity().value() == before.value());
}

TEST_F(PosixFile, ChangeTimeTellsACopyOrARewriteButNotARead) {
    auto file = open("f", OpenMode::create);
    ASSERT_TRUE(file->write(0, "abc", 3).ok());
    const std::uint64_t before = file->change_time().value();
    // The clock of file times ticks every few milliseconds.
    ::usleep(30'000);
    char text[3];
    ASSERT_TRUE(file->read(0, text, 3).ok());
    EXPECT_EQ(open("f", OpenMode::read_only)->change_time().value(), before);
    ASSERT_TRUE(file->write(0, "abd", 3).ok());
    const std::uint64_t after = file->change_time().value();
    EXPECT_GT(after, before);
    EXPECT_LT(after - before, std::uint64_t{3600} * 1'000'000'000) << "nanoseconds";
    EXPECT_GT(open("g", OpenMode::create)->change_time().value(), before);
}

TEST_F(PosixFile, MappingsOfOneFileShareItsBytes) {
    auto file = open("f", OpenMode::create);
    ASSERT_TRUE(file->allocate(8192).ok());
    auto first = file->map(8192, Access::read_write);
    auto second = open("f", OpenMode::read_only)->map(8192, Access::read_only);
    ASSERT_TRUE(first.ok());
    ASSERT_TRUE(second.ok());
    file.reset();
    std::memcpy(first.value().data() + 5000, "shared", 6);
    EXPECT_EQ(std::memcmp(second.value().data() + 5000, "shared", 6), 0);
    char text[6];
    ASSERT_TRUE(open("f", OpenMode::read_only)->read(5000, text, 6).ok());
    EXPECT_EQ(std::string(text, 6), "shared");
}

TEST_F(PosixFile, ReadOnlyFileIsNotMappedForWriting) {
    open("f", OpenMode::create);
    EXPECT_FALSE(open("f", OpenMode::read_only)->map(4096, Access::read_write).ok());
    EXPECT_FALSE(open("f", OpenMode::read_write)->map(0, Access::read_write).ok());
}

TEST_F(PosixFile, MappingGrowsWithItsFile) {
    auto file = open("f", OpenMode::create);
    ASSERT_TRUE(file->allocate(4096).ok());
    auto mapping = file->map(4096, Access::read_write);
    ASSERT_TRUE(mapping.ok());
    std::memcpy(mapping.value().data(), "first", 5);
    ASSERT_TRUE(file->allocate(1 << 20).ok());
    ASSERT_TRUE(mapping.value().extend(1 << 20).ok());
    EXPECT_EQ(mapping.value().size(), std::size_t{1} << 20);
    EXPECT_EQ(std::memcmp(mapping.value().data(), "first", 5), 0);
    mapping.value().data()[(1 << 20) - 1] = std::byte{42};
    char last;
    ASSERT_TRUE(file->read((1 << 20) - 1, &last, 1).ok());
    EXPECT_EQ(last, 42);
    ASSERT_TRUE(mapping.value().extend(10).ok());
    EXPECT_EQ(mapping.value().size(), std::size_t{1} << 20);
}

TEST_F(PosixFile, TellsWhichPagesAreInMemory) {
    const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    auto file = open("f", OpenMode::create);
    ASSERT_TRUE(file->truncate(4 * page).ok());
    const Mapping mapping = file->map(4 * page, Access::read_write).value();
    EXPECT_FALSE(mapping.in_memory(2 * page + 5));
    mapping.data()[2 * page] = std::byte{1};
    EXPECT_TRUE(mapping.in_memory(2 * page + 5));
    EXPECT_TRUE(mapping.in_memory(4 * page));
}

// Bytes that this process has mapped of files in large pages; 0 where the system does not tell.
std::uint64_t mapped_in_large_pages() {
    std::ifstream file("/proc/self/smaps_rollup");
    for (std::string word; file >> word;)
        if (std::uint64_t kilobytes = 0; word == "FilePmdMapped:" && file >> kilobytes)
            return kilobytes << 10;
    return 0;
}

// Whoever opens a file has looked at its header, so its first page is there as a small one. That
// must not make small ones of those behind it.
TEST_F(PosixFile, BringsInLargePagesBehindSmallOnes) {
    constexpr std::size_t size = std::size_t{16} << 20;
    const test::TempDirectory on_disk("/var/tmp");
    const auto in_large_pages = [&](const std::string &name, bool look_first) {
        EXPECT_TRUE(
            system_.open(on_disk.file(name), OpenMode::create).value()->allocate(size).ok());
        int header = 0;
        if (look_first) {
            auto looks = system_.open(on_disk.file(name), OpenMode::read_only);
            EXPECT_TRUE(looks.value()->read(0, &header, sizeof(header)).ok());
        }
        auto opened = system_.open(on_disk.file(name), OpenMode::read_only);
        const auto map = opened.value()->map(size, Access::read_only);
        EXPECT_TRUE(map.ok() && map.value().bring_in(0, size, Pages::large).ok());
        return mapped_in_large_pages();
    };
    // Whether the system has such pages may change, and whether it leaves in memory what was just
    // read: it counts only what lies between two files that came whole.
    const std::uint64_t before = in_large_pages("before", false);
    const std::uint64_t looked_at = in_large_pages("looked at", true);
    const std::uint64_t after = in_large_pages("after", false);
    if (before < size || after < size)
        GTEST_SKIP() << "no large pages of files here, or none left";
    EXPECT_GE(looked_at, size / 2);
}

TEST_F(PosixFile, MappingMovesItsOwnership) {
    auto file = open("f", OpenMode::create);
    ASSERT_TRUE(file->allocate(4096).ok());
    Mapping first = file->map(4096, Access::read_write).value();
    std::byte *const data = first.data();
    Mapping second(std::move(first));
    EXPECT_TRUE(first.empty());  // NOLINT: the state after a move is part of the contract
    EXPECT_EQ(second.data(), data);
    Mapping third = file->map(4096, Access::read_write).value();
    third = std::move(second);
    EXPECT_EQ(third.data(), data);
    third.data()[0] = std::byte{1};
    Mapping &itself = third;
    third = std::move(itself);
    EXPECT_EQ(third.data(), data);
    EXPECT_TRUE(Mapping().empty());
}

TEST_F(PosixFile, NamesInAFolder) {
    const std::string inner = directory_.file("d");
    ASSERT_TRUE(system_.make_directory(inner).ok());
    EXPECT_EQ(system_.make_directory(inner).code(), Code::already_exists);
    EXPECT_TRUE(system_.list(inner).value().empty());
    open("d/b", OpenMode::create);
    open("d/.hidden", OpenMode::create);
    auto names = system_.list(inner);
    ASSERT_TRUE(names.ok());
    std::sort(names.value().begin(), names.value().end());
    EXPECT_EQ(names.value(), (std::vector<std::string>{".hidden", "b"}));
    EXPECT_EQ(system_.list(directory_.file("none")).status().code(), Code::not_found);
    EXPECT_TRUE(system_.sync_directory(inner).ok());
    EXPECT_EQ(system_.sync_directory(directory_.file("none")).code(), Code::not_found);

    EXPECT_TRUE(system_.exists(inner + "/b").value());
    EXPECT_FALSE(system_.exists(inner + "/c").value());
    EXPECT_FALSE(system_.exists(inner + "/b/c").value()) << "below a file there is nothing";

    EXPECT_TRUE(system_.remove(inner + "/b").ok());
    EXPECT_EQ(system_.remove(inner + "/b").code(), Code::not_found);
    EXPECT_TRUE(system_.remove_directory(inner).ok());
    EXPECT_FALSE(system_.exists(inner).value());
    EXPECT_EQ(system_.remove_directory(inner).code(), Code::not_found);
}

TEST_F(PosixFile, FoldersInsideStopTheRemovalOfAFolder) {
    ASSERT_TRUE(system_.make_directory(directory_.file("d")).ok());
    ASSERT_TRUE(system_.make_directory(directory_.file("d/e")).ok());
    EXPECT_FALSE(system_.remove_directory(directory_.file("d")).ok());
    EXPECT_TRUE(system_.exists(directory_.file("d/e")).value());
}

TEST_F(PosixFile, RenameReplaces) {
    ASSERT_TRUE(open("a", OpenMode::create)->write(0, "new", 3).ok());
    ASSERT_TRUE(open("b", OpenMode::create)->write(0, "older", 5).ok());
    ASSERT_TRUE(system_.rename(directory_.file("a"), directory_.file("b")).ok());
    EXPECT_FALSE(system_.exists(directory_.file("a")).value());
    EXPECT_EQ(size_of(*open("b", OpenMode::read_only)), 3u);
    EXPECT_EQ(system_.rename(directory_.file("a"), directory_.file("b")).code(), Code::not_found);
}

}  // namespace
}  // namespace dvec::base
