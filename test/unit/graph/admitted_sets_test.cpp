// What is remembered of a filter says what the filter says, while the index grows, rows go, and
// other filters come; it is made when it is worth it, and takes no more memory than it may.
#include "engine/graph/admitted_sets.hpp"

#include <gtest/gtest.h>

#include "engine/graph/filter_memory.hpp"
#include "test/unit/graph/graph_fixture.hpp"

namespace dvec::graph {
namespace {

constexpr std::size_t enough_bytes = std::size_t{1} << 20;

RowFilter within(std::uint64_t first, std::uint64_t last) {
    RowFilter filter;
    filter.add({0, RowFilter::Condition::Kind::within_ranges, {{first, last}}, {}});
    return filter;
}

class AdmittedSetsTest : public GraphTest {
  protected:
    void make() {
        columns_ = 1;
        create(1);
    }
    void grow(std::size_t rows) {
        std::vector<std::uint64_t> keys(rows);
        for (std::uint64_t &key : keys)
            key = random_() % 100;
        add(std::vector<float>(rows, 0.0f), keys);
    }
    // As a search does that finds the set worth making.
    std::shared_ptr<AdmittedSet> made(const RowFilter &filter, NodeId linked,
                                      std::size_t most_bytes = enough_bytes) {
        return sets_.of(filter, *nodes_, linked, 0, most_bytes, nullptr);
    }
    void expect_agreement(const AdmittedSet &set, const RowFilter &filter) {
        std::uint64_t passed = 0;
        for (NodeId id = 0; id < set.end(); ++id) {
            ASSERT_EQ(set.has(id), filter.admits(*nodes_, id)) << id;
            passed += set.has(id) ? 1 : 0;
        }
        EXPECT_EQ(set.count(), passed);
        for (NodeId first = 0; first < set.end(); first += column_chunk_ids) {
            const NodeId end = std::min(set.end(), first + column_chunk_ids);
            std::uint64_t by_set[RowFilter::chunk_words] = {};
            std::uint64_t by_keys[RowFilter::chunk_words] = {};
            set.admit_chunk(*nodes_, first, end, by_set);
            filter.admit_chunk(*nodes_, first, end, by_keys);
            for (std::uint32_t i = 0; i < RowFilter::chunk_words; ++i)
                ASSERT_EQ(by_set[i], by_keys[i]) << first << " + 64 * " << i;
        }
        set.sample([&](NodeId id) {
            EXPECT_LT(id, set.end());
            EXPECT_TRUE(set.has(id));
        });
    }

    AdmittedSets sets_;
    std::mt19937_64 random_{23};
};

TEST_F(AdmittedSetsTest, SayWhatTheFilterSaysWhileTheIndexGrowsAndRowsGo) {
    make();
    std::vector<RowFilter> filters;
    for (int i = 0; i < 10; ++i) {
        const std::uint64_t first = random_() % 100;
        filters.push_back(within(first, first + random_() % 50));
    }
    for (int step = 0; step < 40; ++step) {
        grow(random_() % 300);
        const NodeId rows = state_.allocated.load();
        for (int i = 0; i < 20 && rows > 0; ++i)
            nodes_->mark_deleted(static_cast<NodeId>(random_() % rows));
        const RowFilter &filter = filters[random_() % filters.size()];
        const NodeId linked = rows - static_cast<NodeId>(random_() % (rows / 8 + 1));
        const auto set = made(filter, linked);
        ASSERT_TRUE(set);
        EXPECT_GE(set->end(), linked);
        EXPECT_LE(set->end(), rows);
        expect_agreement(*set, filter);
        EXPECT_EQ(made(filter, linked), set);
    }
}

TEST_F(AdmittedSetsTest, AreMadeWhenSearchesWouldHaveSavedWhatThatCosts) {
    make();
    grow(1000);
    const auto ask = [&] {
        return sets_.of(within(3, 7), *nodes_, 1000, 100, enough_bytes, nullptr);
    };
    const auto set = ask();
    ASSERT_TRUE(set);
    EXPECT_EQ(set->end(), 0u);
    set->would_have_saved(99);
    EXPECT_EQ(ask()->end(), 0u);
    set->would_have_saved(1);
    EXPECT_EQ(ask(), set);
    EXPECT_EQ(set->end(), 1000u);
    // Another condition is another one, whatever its kind.
    RowFilter other;
    other.add({0, RowFilter::Condition::Kind::has_any_mask, {}, {3, 7}});
    EXPECT_NE(sets_.of(other, *nodes_, 1000, 100, enough_bytes, nullptr), set);
}

TEST_F(AdmittedSetsTest, KeepToTheirMemoryAndGiveUpThoseThatNobodyAsksFor) {
    make();
    grow(20000);
    // Room for two or three.
    constexpr std::size_t most = 10000;
    const auto kept = made(within(0, 9), 20000, most);
    ASSERT_TRUE(kept);
    for (std::uint64_t i = 1; i < 200; ++i) {
        const RowFilter filter = within(i % 50, i % 50 + i / 50);
        const auto set = made(filter, 20000, most);
        ASSERT_TRUE(set);
        EXPECT_EQ(set->end(), 20000u);
    }
    EXPECT_NE(made(within(0, 9), 20000, most), kept);
    // Who has it goes on with it.
    expect_agreement(*kept, within(0, 9));
    // Where there is room for no bits, or for nothing, all is as without.
    AdmittedSets others;
    const auto narrow = others.of(within(1, 2), *nodes_, 20000, 0, 2000, nullptr);
    EXPECT_TRUE(!narrow || narrow->end() == 0);
    EXPECT_EQ(others.of(within(1, 2), *nodes_, 20000, 0, 100, nullptr), nullptr);
}

TEST_F(AdmittedSetsTest, GiveAllOfTheirMemoryBack) {
    make();
    grow(20000);
    for (int round = 0; round < 100; ++round) {
        AdmittedSets sets;
        for (std::uint64_t i = 0; i < 3; ++i) {
            const auto set = sets.of(within(i, 2 * i), *nodes_, 20000, 0, 12000, nullptr);
            ASSERT_TRUE(set);
            ASSERT_EQ(set->end(), 20000u);
        }
    }
}

TEST_F(AdmittedSetsTest, AnInterruptedOneKnowsSomeAndGoesOn) {
    make();
    grow(1000);
    const RowFilter filter = within(20, 70);
    const auto set = sets_.of(filter, *nodes_, 1000, 0, enough_bytes, [] { return true; });
    ASSERT_TRUE(set);
    EXPECT_EQ(set->end(), 0u);
    EXPECT_EQ(made(filter, 1000), set);
    EXPECT_EQ(set->end(), 1000u);
    expect_agreement(*set, filter);
}

// Each search beside one without memory, as rows come and go.
TEST_F(AdmittedSetsTest, SearchesFindWhatTheyFindWithoutMemory) {
    columns_ = 1;
    create(16);
    constexpr ClusteredShape shape{16, 10, 4, 0.1f};
    ClusteredData data(1, shape);
    const auto queries = ClusteredData(2, shape).make(8);
    FilterMemory memory;
    std::vector<RowFilter> filters;
    for (const std::uint64_t share : {0, 4, 19, 59, 89})
        filters.push_back(within(5, 5 + share));
    for (int step = 0; step < 6; ++step) {
        std::vector<std::uint64_t> keys(700);
        for (std::uint64_t &key : keys)
            key = random_() % 100;
        add(data.make(700), keys);
        const NodeId rows = state_.allocated.load();
        // A tail stays.
        link_first(rows - 100);
        for (int i = 0; i < 60; ++i)
            nodes_->mark_deleted(static_cast<NodeId>(random_() % rows));
        for (int i = 0; i < 40; ++i) {
            const RowFilter &filter = filters[random_() % filters.size()];
            const float *query = &queries[random_() % 8 * 16];
            Search::Params params = search_params(40);
            params.filter = &filter;
            params.exact_after = random_() % 2 == 0 ? 20000 : 30;
            const auto found_by = [&](const Search::Params &by) {
                Search search;
                std::vector<NodeId> ids;
                for (const Hit &hit : search_with(search, query, by, 10000)) {
                    EXPECT_TRUE(live(hit.id) && filter.admits(*nodes_, hit.id));
                    ids.push_back(hit.id);
                }
                std::sort(ids.begin(), ids.end());
                return ids;
            };
            const auto without = found_by(params);
            params.memory = &memory;
            params.memory_bytes = enough_bytes;
            ASSERT_EQ(found_by(params), without);
        }
    }
}

}  // namespace
}  // namespace dvec::graph
