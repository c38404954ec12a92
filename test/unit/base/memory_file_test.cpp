// Files in memory: like any other to who has them open, and gone when nobody has.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <string>

#include "../support/file_checks.hpp"
#include "../support/memory_files.hpp"
#include "engine/base/file.hpp"

namespace dvec::base {
namespace {

using test::in_memory_files;

constexpr std::size_t mebibyte = std::size_t{1} << 20;

std::unique_ptr<File> make(std::uint64_t most) {
    auto file = make_memory_file("f", most);
    EXPECT_TRUE(file.ok()) << file.status().message();
    return std::move(file).value();
}

TEST(MemoryFile, WritesAndReadsAnywhere) {
    auto file = make(mebibyte);
    test::check_that_it_writes_and_reads_anywhere(*file);
    char text[6];
    EXPECT_EQ(file->read(~std::uint64_t{0}, text, 5).code(), Code::corrupt);
}

TEST(MemoryFile, MappingsOfOneFileAreTheSameBytesAndStayWhereTheyAre) {
    auto file = make(20 * mebibyte);
    ASSERT_TRUE(file->allocate(4096).ok());
    auto first = file->map(4096, Access::read_write).value();
    const auto second = file->map(4096, Access::read_only).value();
    std::byte *const data = first.data();
    EXPECT_EQ(second.data(), data);
    std::memcpy(data + 100, "shared", 6);
    ASSERT_TRUE(file->allocate(20 * mebibyte).ok());
    ASSERT_TRUE(first.extend(20 * mebibyte).ok());
    EXPECT_EQ(first.data(), data);
    EXPECT_EQ(first.size(), 20 * mebibyte);
    first.data()[20 * mebibyte - 1] = std::byte{42};
    char last = 0;
    ASSERT_TRUE(file->read(20 * mebibyte - 1, &last, 1).ok());
    EXPECT_EQ(last, 42);
    EXPECT_TRUE(first.in_memory(mebibyte));
    file.reset();
    EXPECT_EQ(std::memcmp(second.data() + 100, "shared", 6), 0);
}

TEST(MemoryFile, HasNoMoreThanItsRoom) {
    auto file = make(3 * mebibyte);
    ASSERT_TRUE(file->allocate(3 * mebibyte).ok());
    EXPECT_EQ(file->allocate(5 * mebibyte).code(), Code::no_space);
    EXPECT_EQ(file->allocate(~std::uint64_t{0}).code(), Code::no_space);
    EXPECT_EQ(file->size().value(), 3 * mebibyte);
    ASSERT_TRUE(file->allocate(10).ok());
    EXPECT_EQ(file->size().value(), 3 * mebibyte);
}

TEST(MemoryFile, ShortenedItReadsAsZeroWhenItGrowsAgain) {
    auto file = make(mebibyte);
    ASSERT_TRUE(file->write(0, "abcdef", 6).ok());
    ASSERT_TRUE(file->truncate(2).ok());
    EXPECT_EQ(file->size().value(), 2u);
    ASSERT_TRUE(file->truncate(4).ok());
    char text[4];
    ASSERT_TRUE(file->read(0, text, 4).ok());
    EXPECT_EQ(std::string(text, 4), std::string("ab\0\0", 4));
}

TEST(MemoryFile, TakesItsMemoryWhenItIsExtendedAndGivesItBack) {
    if (!test::in_memory_files_are_told())
        GTEST_SKIP() << "an emulator does not tell";
    const std::uint64_t before = in_memory_files().bytes;
    for (const std::uint64_t size :
         {std::uint64_t{1}, std::uint64_t{5000}, 3 * mebibyte + 1, 9 * mebibyte, 20 * mebibyte}) {
        SCOPED_TRACE(size);
        auto file = make(64 * mebibyte);
        EXPECT_EQ(in_memory_files().bytes, before) << "room alone";
        ASSERT_TRUE(file->allocate(size).ok());
        EXPECT_EQ(in_memory_files().bytes, before + memory_of_file(size));
        EXPECT_GE(memory_of_file(size), size);
        auto map = file->map(size, Access::read_write).value();
        file.reset();
        std::memset(map.data(), 1, size);
        EXPECT_EQ(in_memory_files().bytes, before + memory_of_file(size));
        map.give_back(0, size);
        EXPECT_LT(in_memory_files().bytes, before + large_page);
        EXPECT_EQ(map.data()[size - 1], std::byte{0});
        map = {};
        EXPECT_EQ(in_memory_files().bytes, before);
    }
}

TEST(MemoryFile, EachIsAnotherFile) {
    auto one = make(mebibyte);
    auto other = make(mebibyte);
    EXPECT_EQ(one->identity().value(), one->identity().value());
    EXPECT_FALSE(one->identity().value() == other->identity().value());
}

bool asked_for_large_pages_are_given() {
    std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
    std::string line;
    std::getline(file, line);
    return line.find("[never]") == std::string::npos && !line.empty();
}

// In steps, as the files of a build grow.
TEST(MemoryFile, LargeOnesHaveLargePages) {
    if (!asked_for_large_pages_are_given())
        GTEST_SKIP() << "no large pages here";
    const std::uint64_t before = in_memory_files().in_large_pages;
    auto file = make(256 * mebibyte);
    for (std::size_t size = mebibyte; size <= 64 * mebibyte; size += size / 16)
        ASSERT_TRUE(file->allocate(size).ok());
    const std::uint64_t large = in_memory_files().in_large_pages - before;
    if (large == 0)
        GTEST_SKIP() << "no large page is left";
    EXPECT_EQ(large % large_page, 0u);
}

}  // namespace
}  // namespace dvec::base
