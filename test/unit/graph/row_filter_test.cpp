// Random conditions over random keys, row by row, in passes and counted: all say the same as a
// plain reading of the conditions.
#include "engine/graph/row_filter.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <set>
#include <vector>

#include "test/unit/graph/graph_fixture.hpp"

namespace dvec::graph {
namespace {

using Condition = RowFilter::Condition;
using Kind = RowFilter::Condition::Kind;
using Range = RowFilter::Range;

class RowFilterTest : public GraphTest {
  protected:
    // Rows whose vectors do not matter.
    void fill(std::uint32_t columns, const std::vector<std::uint64_t> &keys) {
        columns_ = columns;
        create(1);
        add(std::vector<float>(keys.size() / columns, 0.0f), keys);
    }

    static Condition within(std::uint32_t column, std::vector<Range> ranges) {
        return {column, Kind::within_ranges, std::move(ranges), {}};
    }
    static Condition bits(std::uint32_t column, Kind kind, std::vector<std::uint64_t> masks) {
        return {column, kind, {}, std::move(masks)};
    }

    // What the conditions say, read literally.
    static bool passes(const Condition &condition, std::uint64_t key) {
        const bool null = key == RowFilter::null_key;
        switch (condition.kind) {
            case Kind::within_ranges:
                for (const Range &range : condition.ranges)
                    if (range.first <= key && key <= range.last)
                        return true;
                return false;
            case Kind::has_all_bits:
                return !null && (key & condition.masks[0]) == condition.masks[0];
            case Kind::has_any_mask:
                for (const std::uint64_t mask : condition.masks)
                    if (!null && (key & mask) == mask)
                        return true;
                return false;
            case Kind::has_no_other_bits:
                return !null && (key | condition.masks[0]) == condition.masks[0];
        }
        return false;
    }

    void expect_agreement(const RowFilter &filter) {
        const NodeId end = state_.allocated.load();
        std::vector<bool> admitted(end);
        std::uint64_t present = 0;
        for (NodeId id = 0; id < end; ++id) {
            bool all = true;
            for (const Condition &condition : filter.conditions())
                all = all && passes(condition, nodes_->key(id, condition.column));
            ASSERT_EQ(filter.admits(*nodes_, id), all) << id;
            admitted[id] = all && live(id);
            present += admitted[id];
        }
        EXPECT_EQ(filter.count(*nodes_, end), present);
        for (int i = 0; i < 20; ++i)
            expect_pass(filter, admitted);
        if (end <= 4096) {
            EXPECT_DOUBLE_EQ(filter.estimate(*nodes_, end),
                             end == 0 ? 0.0 : static_cast<double>(present) / end);
        }
    }

    // A part of a chunk.
    void expect_pass(const RowFilter &filter, const std::vector<bool> &admitted) {
        const auto end = static_cast<NodeId>(admitted.size());
        if (end == 0)
            return;
        const auto first = static_cast<NodeId>(random_() % end);
        const NodeId chunk_end = std::min(end, (first / column_chunk_ids + 1) * column_chunk_ids);
        const auto last = static_cast<NodeId>(first + random_() % (chunk_end - first + 1));
        const std::uint64_t untouched = 0x0123456789ABCDEF;
        std::vector<std::uint64_t> out(RowFilter::chunk_words + 1, untouched);
        filter.admit_chunk(*nodes_, first, last, out.data());
        const std::uint32_t words = (last - first + 63) / 64;
        for (std::uint32_t bit = 0; bit < words * 64; ++bit)
            ASSERT_EQ((out[bit / 64] >> bit % 64 & 1) != 0,
                      first + bit < last && admitted[first + bit])
                << first << " + " << bit << ", " << last;
        ASSERT_EQ(out[words], untouched);
    }

    std::uint64_t random_key(unsigned kind) {
        switch (kind) {
            case 0:
                return random_() % 10;
            case 1:
                return random_() % 20 == 0 ? RowFilter::null_key : random_() >> random_() % 64;
            case 2:
                return RowFilter::null_key - random_() % 3;
            default:
                return random_() & random_() & random_() & ~(std::uint64_t{3} << 62);
        }
    }

    Condition random_condition(std::uint32_t columns) {
        const auto column = static_cast<std::uint32_t>(random_() % columns);
        // A key that is there, so that something passes.
        const auto some_key = [&] {
            return nodes_->key(static_cast<NodeId>(random_() % state_.allocated.load()), column);
        };
        if (random_() % 2 == 0) {
            std::set<std::uint64_t> ends;
            const std::size_t most = random_() % 4 == 0 ? 60 : 6;
            const std::size_t count = random_() % most;
            while (ends.size() < 2 * (count / 2))
                ends.insert(random_() % 2 == 0 ? some_key() : random_key(random_() % 4));
            std::vector<Range> ranges;
            for (auto end = ends.begin(); end != ends.end();) {
                const std::uint64_t first = *end++;
                ranges.push_back({first, random_() % 3 == 0 ? first : *end});
                ++end;
            }
            if (ranges.empty() && random_() % 4 != 0)
                ranges.push_back({0, RowFilter::null_key - random_() % 2});
            return within(column, ranges);
        }
        const Kind kind = std::array{Kind::has_all_bits, Kind::has_any_mask,
                                     Kind::has_no_other_bits}[random_() % 3];
        std::vector<std::uint64_t> masks;
        const std::size_t count = kind == Kind::has_any_mask ? random_() % 5 : 1;
        for (std::size_t i = 0; i < count; ++i)
            masks.push_back(kind == Kind::has_no_other_bits ? some_key() | (random_() & random_())
                                                            : some_key() & random_() & random_());
        return bits(column, kind, masks);
    }

    std::mt19937_64 random_{7};
};

TEST_F(RowFilterTest, WithoutConditionsAllThatIsThereIsAdmitted) {
    fill(1, std::vector<std::uint64_t>(1500, 3));
    const RowFilter filter;
    EXPECT_TRUE(filter.empty());
    expect_agreement(filter);
    nodes_->mark_deleted(77);
    nodes_->mark_hole(1200);
    EXPECT_EQ(filter.count(*nodes_, 1500), 1498u);
    expect_agreement(filter);
}

TEST_F(RowFilterTest, NullIsAKeyLikeAnyOtherForRangesAndNoneForBits) {
    fill(1, {0, 5, RowFilter::null_key - 1, RowFilter::null_key});
    const auto count = [&](Condition condition) {
        RowFilter filter;
        filter.add(std::move(condition));
        expect_agreement(filter);
        return filter.count(*nodes_, 4);
    };
    EXPECT_EQ(count(within(0, {{RowFilter::null_key, RowFilter::null_key}})), 1u);
    EXPECT_EQ(count(within(0, {{0, RowFilter::null_key - 1}})), 3u);
    EXPECT_EQ(count(within(0, {{0, RowFilter::null_key}})), 4u);
    EXPECT_EQ(count(within(0, {})), 0u);
    EXPECT_EQ(count(bits(0, Kind::has_all_bits, {0})), 3u);
    EXPECT_EQ(count(bits(0, Kind::has_any_mask, {4, 1})), 2u);
    EXPECT_EQ(count(bits(0, Kind::has_any_mask, {})), 0u);
    EXPECT_EQ(count(bits(0, Kind::has_no_other_bits, {RowFilter::null_key})), 3u);
    EXPECT_EQ(count(bits(0, Kind::has_no_other_bits, {0})), 1u);
}

TEST_F(RowFilterTest, RandomConditionsSayTheSameEverywhere) {
    for (int history = 0; history < 12; ++history) {
        const std::uint64_t seed = std::random_device()();
        SCOPED_TRACE("seed " + std::to_string(seed));
        random_.seed(seed);
        const auto columns = static_cast<std::uint32_t>(1 + random_() % 4);
        const auto rows = static_cast<std::uint32_t>(1 + random_() % 3000);
        std::vector<std::uint64_t> keys;
        for (std::uint32_t row = 0; row < rows; ++row)
            for (std::uint32_t column = 0; column < columns; ++column)
                keys.push_back(random_key((column + history) % 4));
        fill(columns, keys);
        for (NodeId id = 0; id < rows; ++id)
            if (random_() % 7 == 0)
                random_() % 2 == 0 ? nodes_->mark_deleted(id) : nodes_->mark_hole(id);
        for (int i = 0; i < 30; ++i) {
            RowFilter filter;
            for (std::uint64_t conditions = random_() % 4; conditions > 0; --conditions)
                filter.add(random_condition(columns));
            expect_agreement(filter);
        }
        forget();
    }
}

// An estimate of what is spread evenly lies within what a sample of that size gives, also where the
// values repeat at regular distances, and of what stands at one end.
TEST_F(RowFilterTest, EstimatesFromASample) {
    constexpr std::uint32_t rows = 60000;
    using KeyOf = std::function<std::uint64_t(std::uint32_t)>;
    const std::vector<KeyOf> kinds = {
        [&](std::uint32_t) { return random_() % 100; },
        [&](std::uint32_t row) { return row % 100; },
        [&](std::uint32_t row) { return row / 8 % 100; },
        [&](std::uint32_t row) { return row / 1024 % 100; },
        [&](std::uint32_t row) { return row * std::uint64_t{100} / rows; },
    };
    for (const KeyOf &key_of : kinds) {
        std::vector<std::uint64_t> keys;
        for (std::uint32_t row = 0; row < rows; ++row)
            keys.push_back(key_of(row));
        fill(1, keys);
        for (const std::uint64_t percent : {0u, 5u, 30u, 50u, 90u, 100u}) {
            RowFilter filter;
            if (percent == 0)
                filter.add(within(0, {}));
            else
                filter.add(within(0, {{0, percent - 1}}));
            const double share = static_cast<double>(filter.count(*nodes_, rows)) / rows;
            // Rows that share a line may all have one value: then it is a sample of 128.
            EXPECT_NEAR(filter.estimate(*nodes_, rows), share,
                        5 * std::sqrt(share * (1 - share) / 128) + 1e-12)
                << percent;
        }
        forget();
    }
}

TEST_F(RowFilterTest, AnEmptyIndexHasNoShare) {
    columns_ = 1;
    create(1);
    EXPECT_EQ(RowFilter().estimate(*nodes_, 0), 0.0);
    EXPECT_EQ(RowFilter().count(*nodes_, 0), 0u);
}

}  // namespace
}  // namespace dvec::graph
