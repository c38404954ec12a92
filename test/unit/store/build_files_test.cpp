// Files in memory: what they take, and that they are the same files when they are written out.
#include "engine/store/build_files.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "../support/faulty_file_system.hpp"
#include "../support/temp_directory.hpp"

namespace dvec::store {
namespace {

using base::Code;
using base::OpenMode;

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

std::uint64_t free_memory = 0;  // what the tests' system says
std::uint64_t tell_free_memory() { return free_memory; }

class StoreBuildFiles : public testing::Test {
  protected:
    void SetUp() override { free_memory = 1024 * mebibyte; }

    std::string path(const std::string &name) const { return directory_.file(name); }
    std::unique_ptr<base::File> open(BuildFiles &files, const std::string &name, OpenMode mode) {
        auto file = files.open(path(name), mode);
        EXPECT_TRUE(file.ok()) << file.status().message();
        return std::move(file).value();
    }

    test::TempDirectory directory_;
    test::FaultyFileSystem below_;
    std::atomic<bool> stop_{false};
};

TEST_F(StoreBuildFiles, AnAllowanceIsGivenOut) {
    MemoryAllowance allowance(10 * mebibyte, tell_free_memory);
    EXPECT_TRUE(allowance.take(6 * mebibyte));
    EXPECT_FALSE(allowance.take(5 * mebibyte));
    EXPECT_TRUE(allowance.take(4 * mebibyte));
    EXPECT_FALSE(allowance.take(1));
    EXPECT_FALSE(allowance.system_short());
}

TEST_F(StoreBuildFiles, NotMoreIsTakenThanTheSystemHas) {
    free_memory = 20 * mebibyte;
    MemoryAllowance allowance(1024 * mebibyte, tell_free_memory);
    EXPECT_TRUE(allowance.take(8 * mebibyte));
    EXPECT_FALSE(allowance.take(30 * mebibyte));
    EXPECT_TRUE(allowance.system_short());
    free_memory = 40 * mebibyte;
    EXPECT_TRUE(allowance.take(30 * mebibyte));
    EXPECT_FALSE(allowance.take(1024 * mebibyte));
    EXPECT_FALSE(allowance.system_short());
    free_memory = 0;
    EXPECT_FALSE(allowance.take(100 * mebibyte));
    EXPECT_TRUE(allowance.system_short());
}

TEST_F(StoreBuildFiles, FilesInMemoryAreSeenByNobodyElse) {
    BuildFiles files(below_, 10 * mebibyte, tell_free_memory);
    auto file = open(files, "f", OpenMode::create);
    EXPECT_TRUE(files.in_memory());
    EXPECT_TRUE(file->allocate(100).ok());
    EXPECT_TRUE(file->write(10, "text", 4).ok());
    char text[5] = {};
    auto other = open(files, "f", OpenMode::read_write);
    EXPECT_TRUE(other->read(10, text, 4).ok());
    EXPECT_STREQ(text, "text");
    EXPECT_EQ(other->size().value(), 100u);
    EXPECT_EQ(other->identity().value(), file->identity().value());
    EXPECT_EQ(files.open(path("f"), OpenMode::create).status().code(), Code::already_exists);
    EXPECT_EQ(files.open(path("g"), OpenMode::read_write).status().code(), Code::not_found);
    EXPECT_TRUE(std::filesystem::is_empty(path("")));
}

TEST_F(StoreBuildFiles, AFileBeyondTheAllowanceKeepsItsSize) {
    BuildFiles files(below_, mebibyte, tell_free_memory);
    auto file = open(files, "f", OpenMode::create);
    EXPECT_TRUE(file->allocate(mebibyte / 2).ok());
    EXPECT_EQ(file->allocate(2 * mebibyte).code(), Code::no_space);
    EXPECT_EQ(file->size().value(), mebibyte / 2);
    EXPECT_TRUE(file->allocate(mebibyte).ok());
}

// Of several pieces, with space that was never written to between and behind what was.
TEST_F(StoreBuildFiles, WrittenOutTheFilesAreTheSame) {
    BuildFiles files(below_, 64 * mebibyte, tell_free_memory);
    constexpr std::uint64_t size = 9 * mebibyte + 12345;
    std::vector<char> wanted(size);
    {
        auto file = open(files, "f", OpenMode::create);
        ASSERT_TRUE(file->allocate(size).ok());
        auto map = file->map(size, base::Access::read_write);
        ASSERT_TRUE(map.ok());
        for (std::uint64_t at = 0; at < size; at += 1 + at / 3)
            wanted[at] = static_cast<char>(at % 251 + 1);
        std::memset(wanted.data() + 4 * mebibyte - 10, 7, 3 * mebibyte);
        std::memcpy(map.value().data(), wanted.data(), size);
    }
    auto empty = open(files, "empty", OpenMode::create);
    ASSERT_TRUE(files.move_out(stop_).ok());
    EXPECT_FALSE(files.in_memory());
    EXPECT_EQ(test::read_bytes(path("f")), wanted);
    EXPECT_EQ(std::filesystem::file_size(path("empty")), 0u);
    auto file = open(files, "f", OpenMode::read_write);
    EXPECT_TRUE(file->write(0, "new", 3).ok());
    EXPECT_EQ(test::read_bytes(path("f"))[1], 'e');
    open(files, "g", OpenMode::create);
    EXPECT_TRUE(std::filesystem::exists(path("g")));
}

TEST_F(StoreBuildFiles, WritingOutGivesTheMemoryBack) {
    BuildFiles files(below_, 64 * mebibyte, tell_free_memory);
    auto file = open(files, "f", OpenMode::create);
    ASSERT_TRUE(file->allocate(10 * mebibyte).ok());
    auto map = file->map(10 * mebibyte, base::Access::read_write);
    ASSERT_TRUE(map.ok());
    std::memset(map.value().data(), 1, 10 * mebibyte);
    ASSERT_TRUE(files.move_out(stop_).ok());
    EXPECT_EQ(map.value().data()[5 * mebibyte], std::byte{0});
    EXPECT_EQ(test::read_bytes(path("f")), std::vector<char>(10 * mebibyte, 1));
}

TEST_F(StoreBuildFiles, WritingOutCanFailAndBeStopped) {
    for (const bool stopped : {false, true}) {
        BuildFiles files(below_, 64 * mebibyte, tell_free_memory);
        const std::string name = stopped ? "stopped" : "failed";
        auto file = open(files, name, OpenMode::create);
        ASSERT_TRUE(file->write(0, "text", 4).ok());
        stop_ = stopped;
        if (!stopped)
            below_.plan().fail(test::Operation::write, 1, ENOSPC);
        EXPECT_EQ(files.move_out(stop_).code(), stopped ? Code::interrupted : Code::no_space);
    }
}

TEST_F(StoreBuildFiles, WithoutAllowanceFilesAreBelowFromTheStart) {
    BuildFiles files(below_, 0, tell_free_memory);
    EXPECT_FALSE(files.in_memory());
    open(files, "f", OpenMode::create);
    EXPECT_TRUE(std::filesystem::exists(path("f")));
}

}  // namespace
}  // namespace dvec::store
