// Whether a key is in one of a few or many ranges, one key at a time and 64 at a time: as a plain
// reading of the ranges says.
#include "engine/graph/key_ranges.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <set>

namespace dvec::graph {
namespace {

using Range = KeyRanges::Range;
constexpr std::uint64_t greatest = std::numeric_limits<std::uint64_t>::max();

class KeyRangesTest : public ::testing::Test {
  protected:
    static bool is_in(const std::vector<Range> &ranges, std::uint64_t key) {
        return std::any_of(ranges.begin(), ranges.end(), [key](const Range &range) {
            return range.first <= key && key <= range.last;
        });
    }

    // Asks about keys at and around the ends of ranges, and about others.
    void expect_agreement(const std::vector<Range> &ranges) {
        const KeyRanges tested(ranges);
        std::vector<std::uint64_t> keys{0, greatest, greatest / 2, random_()};
        for (const Range &range : ranges)
            for (const std::uint64_t end : {range.first, range.last})
                for (const int by : {-1, 0, 1})
                    keys.push_back(end + static_cast<std::uint64_t>(by));
        for (int i = 0; i < 200; ++i) {
            const std::uint64_t from = ranges.empty() ? 0 : ranges.front().first;
            const std::uint64_t span = ranges.empty() ? 1000 : ranges.back().last - from + 1;
            keys.push_back(from + (span == 0 ? random_() : random_() % span));
        }
        std::shuffle(keys.begin(), keys.end(), random_);
        keys.resize((keys.size() + 63) / 64 * 64, 12345);
        for (std::size_t at = 0; at < keys.size(); at += 64) {
            const std::uint64_t word = tested.contained(&keys[at]);
            for (std::size_t i = 0; i < 64; ++i) {
                const bool expected = is_in(ranges, keys[at + i]);
                ASSERT_EQ(tested.contain(keys[at + i]), expected) << keys[at + i];
                ASSERT_EQ((word >> i & 1) != 0, expected) << keys[at + i];
            }
        }
    }

    // So many, between two keys.
    std::vector<Range> random_ranges(std::size_t count, std::uint64_t first, std::uint64_t last) {
        std::set<std::uint64_t> ends;
        for (std::size_t tries = 0; ends.size() < 2 * count && tries < 8 * count; ++tries)
            ends.insert(last - first == greatest ? random_()
                                                 : first + random_() % (last - first + 1));
        std::vector<Range> ranges;
        for (auto end = ends.begin(); end != ends.end() && std::next(end) != ends.end(); ++end) {
            const std::uint64_t begin = *end++;
            ranges.push_back({begin, random_() % 3 == 0 ? begin : *end});
        }
        return ranges;
    }

    std::mt19937_64 random_{3};
};

TEST_F(KeyRangesTest, NoneOneAndAll) {
    expect_agreement({});
    expect_agreement({{5, 5}});
    expect_agreement({{0, greatest}});
    expect_agreement({{greatest, greatest}});
    expect_agreement({{0, 0}, {greatest, greatest}});
}

TEST_F(KeyRangesTest, RangesThatTouchAreOne) {
    std::vector<Range> values;
    for (std::uint64_t value = 1000; value < 1300; ++value)
        values.push_back({value, value});
    EXPECT_EQ(KeyRanges(values).tests_of_key(), 1u);
    expect_agreement(values);
    values.push_back({1301, greatest});
    EXPECT_EQ(KeyRanges(values).tests_of_key(), 2u);
    expect_agreement(values);
}

TEST_F(KeyRangesTest, ManyRangesTakeNoLongerThanAFew) {
    std::vector<Range> values;
    for (std::uint64_t value = 0; value < 1000; ++value)
        values.push_back({3 * value, 3 * value});
    EXPECT_LT(KeyRanges(values).tests_of_key(), 10u);
    expect_agreement(values);
}

TEST_F(KeyRangesTest, RandomRanges) {
    constexpr std::uint64_t middle = std::uint64_t{1} << 63;
    for (const std::size_t count : {1u, 4u, 5u, 6u, 40u, 1000u})
        for (int i = 0; i < 20; ++i) {
            SCOPED_TRACE(std::to_string(count) + ", " + std::to_string(i));
            expect_agreement(random_ranges(count, 0, 4 * count));
            expect_agreement(random_ranges(count, middle - 2000, middle + 2095));
            expect_agreement(random_ranges(count, middle - 2000, middle + 2096));
            expect_agreement(random_ranges(count, greatest - 100000, greatest));
            expect_agreement(random_ranges(count, 0, greatest));
            // Some side by side, and one far away.
            auto ranges = random_ranges(count, 7, 7 + 20 * count);
            ranges.push_back({greatest - 5, greatest});
            expect_agreement(ranges);
        }
}

}  // namespace
}  // namespace dvec::graph
