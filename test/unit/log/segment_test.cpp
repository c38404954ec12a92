// Segment files: their names, the arithmetic of positions, and how they come and go.
#include "engine/log/segment.hpp"

#include <algorithm>
#include <filesystem>

#include "log_fixture.hpp"

namespace dvec::test {
namespace {

TEST(LogSegment, OneNamePerNumber) {
    const log::Geometry geometry{.directory = "d", .segment_bytes = small_segment};
    for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{7}, std::uint64_t{10},
                                       std::uint64_t{123456}, log::max_segment_number}) {
        const std::string path = geometry.segment_path(number);
        EXPECT_EQ(path, "d/log." + std::to_string(number));
        EXPECT_EQ(log::segment_number(path.substr(2)), number);
    }
    for (const char *name : {"", "log", "log.", "log.00", "log.07", "log.+7", "log.-7", "log. 7",
                             "log.7 ", "log.7.bak", "log.new", "log.0x7", "log.4294967296",
                             "log.99999999999999999999", "Log.7", "xlog.7", "nodes"})
        EXPECT_FALSE(log::segment_number(name).has_value()) << name;
}

TEST(LogSegment, PlaceOfARecord) {
    const log::Geometry geometry{.directory = {}, .segment_bytes = 4096};
    EXPECT_EQ(geometry.place(0, 4096), 0u);
    EXPECT_EQ(geometry.place(8, 4096), 4096u);
    EXPECT_EQ(geometry.place(8, 4088), 8u);
    EXPECT_EQ(geometry.place(4088, 8), 4088u);
    EXPECT_EQ(geometry.place(4088, 16), 4096u);
    EXPECT_EQ(geometry.place(4096, 16), 4096u);
    EXPECT_EQ(geometry.segment_of(4095), 0u);
    EXPECT_EQ(geometry.segment_of(4096), 1u);
    EXPECT_EQ(geometry.offset_of(4100), 4u);
    EXPECT_EQ(geometry.start_of(3), 3u * 4096);
}

TEST(LogSegment, CreatedFullOfZerosWhateverWasThere) {
    const TempDirectory directory;
    // Not a multiple of the pieces it is written in.
    const log::Geometry geometry{.directory = directory.path(), .segment_bytes = (3 << 20) + 4096};
    write_bytes(geometry.segment_path(5), std::vector<char>(100, 'x'));
    write_bytes(directory.file("log.new"), std::vector<char>(100, 'x'));
    ASSERT_TRUE(
        log::create_segment(base::posix_file_system(), geometry, 5, geometry.segment_bytes).ok());
    const std::vector<char> bytes = read_bytes(geometry.segment_path(5));
    EXPECT_EQ(bytes.size(), geometry.segment_bytes);
    EXPECT_TRUE(std::all_of(bytes.begin(), bytes.end(), [](char byte) { return byte == 0; }));
    EXPECT_FALSE(std::filesystem::exists(directory.file("log.new")));
}

TEST(LogSegment, ListedInOrderAndRemovedOnce) {
    const TempDirectory directory;
    const log::Geometry geometry{.directory = directory.path(), .segment_bytes = small_segment};
    for (const std::uint64_t number : {10u, 9u, 2u})
        ASSERT_TRUE(
            log::create_segment(base::posix_file_system(), geometry, number, small_segment).ok());
    EXPECT_EQ(log::list_segments(base::posix_file_system(), geometry).value(),
              (std::vector<std::uint32_t>{2, 9, 10}));
    EXPECT_TRUE(log::remove_segment(base::posix_file_system(), geometry, 9).ok());
    EXPECT_TRUE(log::remove_segment(base::posix_file_system(), geometry, 9).ok());
    EXPECT_EQ(log::list_segments(base::posix_file_system(), geometry).value(),
              (std::vector<std::uint32_t>{2, 10}));
}

// Somebody who still maps a discarded segment must not keep its space.
TEST(LogSegment, RemovalFreesTheSpaceUnderAMapping) {
    const TempDirectory directory;
    const log::Geometry geometry{.directory = directory.path(), .segment_bytes = small_segment};
    ASSERT_TRUE(log::create_segment(base::posix_file_system(), geometry, 0, small_segment).ok());
    auto file =
        base::posix_file_system().open(geometry.segment_path(0), base::OpenMode::read_write);
    ASSERT_TRUE(file.ok());
    const auto mapping = file.value()->map(small_segment, base::Access::read_write);
    ASSERT_TRUE(mapping.ok());
    ASSERT_TRUE(log::remove_segment(base::posix_file_system(), geometry, 0).ok());
    EXPECT_EQ(file.value()->size().value(), 0u);
}

}  // namespace
}  // namespace dvec::test
