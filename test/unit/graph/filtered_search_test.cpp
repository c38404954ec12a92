// A search with a filter returns what the filter admits of the exact order and nothing else,
// whatever the data, the filter, deletions and the tail are, and however the rows are found.
#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <vector>

#include "engine/graph/filter_plan.hpp"
#include "engine/graph/row_filter.hpp"
#include "engine/graph/search_context.hpp"
#include "test/unit/graph/graph_fixture.hpp"

namespace dvec::graph {
namespace {

using base::Code;
using Filtered = SearchStatistics::Filtered;

constexpr ClusteredShape shape{16, 10, 4, 0.1f};
constexpr std::uint64_t keys_in_all = std::uint64_t{1} << 32;

RowFilter within(std::uint64_t first, std::uint64_t last, std::uint32_t column = 0) {
    RowFilter filter;
    filter.add({column, RowFilter::Condition::Kind::within_ranges, {{first, last}}, {}});
    return filter;
}
// Of keys that are spread evenly, those of the first rows of a thousand.
RowFilter permille(std::uint64_t share) {
    RowFilter filter;
    if (share > 0)
        return within(0, keys_in_all / 1000 * share - 1);
    filter.add({0, RowFilter::Condition::Kind::within_ranges, {}, {}});
    return filter;
}

class FilteredSearchTest : public GraphTest {
  protected:
    // Rows of the usual shape with even keys that have nothing to do with the vectors.
    void make(std::uint32_t rows) {
        columns_ = 1;
        create(16);
        add(ClusteredData(1, shape).make(rows), even_keys(rows));
    }
    std::vector<std::uint64_t> even_keys(std::size_t rows) {
        std::vector<std::uint64_t> keys(rows * columns_);
        for (std::uint64_t &key : keys)
            key = random_() % keys_in_all;
        return keys;
    }
    // Keys by which rows are in the order of their first element, spread evenly.
    std::vector<std::uint64_t> keys_by_first_element(const std::vector<float> &data) const {
        const std::size_t rows = data.size() / dimensions_;
        std::vector<std::uint32_t> order(rows);
        for (std::uint32_t i = 0; i < rows; ++i)
            order[i] = i;
        std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
            return data[std::size_t{a} * dimensions_] < data[std::size_t{b} * dimensions_];
        });
        std::vector<std::uint64_t> keys(rows);
        for (std::size_t rank = 0; rank < rows; ++rank)
            keys[order[rank]] = keys_in_all / rows * rank;
        return keys;
    }

    Search::Params filtered_params(const RowFilter &filter, std::uint32_t ef = 40) const {
        Search::Params params = search_params(ef);
        params.filter = &filter;
        return params;
    }
    Filtered how(const RowFilter &filter, const float *query, std::size_t count) {
        Search search;
        search_with(search, query, filtered_params(filter), count);
        return search.statistics().filtered;
    }

    std::vector<std::pair<double, NodeId>> exact_filtered(const RowFilter &filter,
                                                          const float *query) const {
        auto found = exact(query, 0, state_.allocated.load());
        std::erase_if(found, [&](const auto &row) { return !filter.admits(*nodes_, row.second); });
        return found;
    }

    // All of them once, in order but for a last part of late ones, itself in order.
    void expect_all_admitted(const RowFilter &filter, const float *query,
                             const std::vector<Hit> &hits, std::size_t most_late) {
        const auto truth = exact_filtered(filter, query);
        ASSERT_EQ(hits.size(), truth.size());
        std::set<NodeId> seen;
        std::size_t descents = 0;
        std::size_t late = 0;
        for (std::size_t i = 0; i < hits.size(); ++i) {
            EXPECT_TRUE(seen.insert(hits[i].id).second) << hits[i].id << " came twice";
            EXPECT_TRUE(live(hits[i].id));
            EXPECT_TRUE(filter.admits(*nodes_, hits[i].id)) << hits[i].id;
            EXPECT_EQ(hits[i].tid, tid_of(hits[i].id));
            const double distance = operator_distance(query, hits[i].id);
            EXPECT_TRUE(hits[i].distance == distance ||
                        (std::isnan(hits[i].distance) && std::isnan(distance)));
            if (i > 0 &&
                comes_before(hits[i].distance, hits[i].id, hits[i - 1].distance, hits[i - 1].id)) {
                ++descents;
                late = hits.size() - i;
            }
        }
        EXPECT_LE(descents, 1u);
        EXPECT_LE(late, most_late);
    }
    void expect_exact(const RowFilter &filter, const float *query, const std::vector<Hit> &hits) {
        const auto truth = exact_filtered(filter, query);
        ASSERT_LE(hits.size(), truth.size());
        for (std::size_t i = 0; i < hits.size(); ++i)
            ASSERT_EQ(hits[i].id, truth[i].second) << i;
    }

    // Of the ten nearest that pass, the share that a search returns first.
    double recall_at_ten(const RowFilter &filter, const float *query, std::uint32_t ef) {
        const auto truth = exact_filtered(filter, query);
        const std::size_t count = std::min<std::size_t>(10, truth.size());
        if (count == 0)
            return 1;
        Search search;
        std::size_t found = 0;
        for (const Hit &hit : search_with(search, query, filtered_params(filter, ef), count))
            found += hit.distance <= truth[count - 1].first;
        return static_cast<double>(found) / static_cast<double>(count);
    }

    std::mt19937_64 random_{17};
};

TEST_F(FilteredSearchTest, WhereFewPassTheyComeByAPassInExactOrder) {
    make(10000);
    link_first(9000);
    lose_some(9000);
    const auto queries = ClusteredData(2, shape).make(5);
    for (const std::uint64_t share : {1, 5}) {
        const RowFilter filter = permille(share);
        for (std::size_t q = 0; q < 3; ++q) {
            SCOPED_TRACE(share * 100 + q);
            const float *query = &queries[q * 16];
            Search search;
            const auto hits = search_with(search, query, filtered_params(filter), 20000);
            EXPECT_EQ(search.statistics().filtered, Filtered::by_pass);
            EXPECT_EQ(search.statistics().expanded, 0u);
            EXPECT_LE(search.statistics().distances, 2 * hits.size() + 100);
            expect_all_admitted(filter, query, hits, 0);
        }
    }
}

// As of a table that was filled tenant by tenant: every id of a chunk, behind some that are left of
// the chunk before.
TEST_F(FilteredSearchTest, AllOfAChunkMayPassWhereverTheRowsThatPassBegin) {
    columns_ = 1;
    create(16);
    std::vector<std::uint64_t> keys(3 * column_chunk_ids);
    for (std::size_t id = 0; id < keys.size(); ++id)
        keys[id] = id;
    add(ClusteredData(1, shape).make(keys.size()), keys);
    link_all();
    const auto query = ClusteredData(2, shape).make(1);
    for (std::uint32_t left = 0; left <= 4 * SearchContext::batch; ++left) {
        SCOPED_TRACE(left);
        const RowFilter filter =
            within(column_chunk_ids - left, 2 * column_chunk_ids + column_chunk_ids / 2);
        auto params = filtered_params(filter);
        params.exact_after = 0;
        Search search;
        expect_all_admitted(filter, query.data(), search_with(search, query.data(), params, 10000),
                            0);
        EXPECT_EQ(search.statistics().expanded, 0u);
    }
}

TEST_F(FilteredSearchTest, APassHandsOutMoreThanItHasKept) {
    make(15000);
    link_all();
    lose_some(15000);
    const auto query = ClusteredData(2, shape).make(1);
    const RowFilter filter = permille(300);
    auto params = filtered_params(filter);
    // By the walk a few, the rest by passes.
    params.exact_after = 5;
    Search search;
    const auto hits = search_with(search, query.data(), params, 30000);
    EXPECT_GT(hits.size(), 4000u);
    EXPECT_EQ(search.statistics().filtered, Filtered::by_walk_and_pass);
    expect_all_admitted(filter, query.data(), hits, 5);
    // Without any walk.
    params.exact_after = 0;
    expect_all_admitted(filter, query.data(), search_with(search, query.data(), params, 30000), 0);
    EXPECT_EQ(search.statistics().expanded, 0u);
}

TEST_F(FilteredSearchTest, WhereManyPassTheyComeByTheWalk) {
    make(10000);
    link_all();
    const auto queries = ClusteredData(2, shape).make(20);
    for (const std::uint64_t share : {300, 700, 999}) {
        const RowFilter filter = permille(share);
        std::uint64_t refused = 0;
        for (std::size_t q = 0; q < 20; ++q) {
            Search search;
            search_with(search, &queries[q * 16], filtered_params(filter), 10);
            EXPECT_EQ(search.statistics().filtered, Filtered::by_walk) << share;
            EXPECT_EQ(search.statistics().rounds, 0u) << share;
            refused += search.statistics().refused;
        }
        EXPECT_EQ(refused > 20, share < 900) << share;
    }
}

TEST_F(FilteredSearchTest, AWalkThatFindsTooLittleIsLeftForThePass) {
    columns_ = 1;
    create(16);
    const auto data = ClusteredData(1, shape).make(10000);
    add(data, keys_by_first_element(data));
    link_all();
    // Beyond one end of the rows, of which those at the other end pass.
    auto query = ClusteredData(2, shape).make(1);
    query[0] = 5;
    const RowFilter filter = within(0, keys_in_all / 10 * 3);
    Search search;
    const auto hits = search_with(search, query.data(), filtered_params(filter), 10);
    EXPECT_EQ(search.statistics().filtered, Filtered::by_walk_and_pass);
    expect_exact(filter, query.data(), hits);
    // It costs the walk until then, and the pass.
    EXPECT_LE(search.statistics().distances, 2 * 3000u + 2000u);
    expect_all_admitted(filter, query.data(),
                        search_with(search, query.data(), filtered_params(filter), 10000), 0);
}

TEST_F(FilteredSearchTest, NothingPassesOrAllDo) {
    make(5000);
    link_first(4500);
    const auto query = ClusteredData(2, shape).make(1);
    Search search;
    const RowFilter nothing = permille(0);
    EXPECT_TRUE(search_with(search, query.data(), filtered_params(nothing), 10).empty());
    EXPECT_EQ(search.statistics().distances, 0u);
    EXPECT_EQ(search.statistics().refused, 5000u);

    const RowFilter all = within(0, RowFilter::null_key);
    expect_all_admitted(all, query.data(),
                        search_with(search, query.data(), filtered_params(all), 10000), 200);
    EXPECT_EQ(search.statistics().refused, 0u);
    const RowFilter none_asked;
    search_with(search, query.data(), filtered_params(none_asked), 10);
    EXPECT_EQ(search.statistics().filtered, Filtered::not_at_all);
}

TEST_F(FilteredSearchTest, AllThatPassReturnedTheSearchEndsWithoutMeasuringOthers) {
    make(10000);
    link_all();
    const auto query = ClusteredData(2, shape).make(1);
    const RowFilter filter = permille(300);
    auto params = filtered_params(filter);
    Search search;
    const std::size_t admitted = exact_filtered(filter, query.data()).size();
    ASSERT_EQ(search_with(search, query.data(), params, 20000).size(), admitted);
    // Each row that passes in up to three passes, whatever the walk has found of them.
    EXPECT_LE(search.statistics().scanned, 3 * admitted);
}

TEST_F(FilteredSearchTest, TwinsPassWhereTheirNodeDoesNot) {
    columns_ = 1;
    create(16);
    // Of each vector several rows one after the other, exact and near copies.
    const auto kinds = ClusteredData(1, shape).make(400);
    std::vector<float> data;
    std::vector<std::uint64_t> keys;
    std::normal_distribution<float> noise;
    for (int copy = 0; copy < 6; ++copy)
        for (std::size_t kind = 0; kind < 400; ++kind) {
            for (std::size_t d = 0; d < 16; ++d)
                data.push_back(kinds[kind * 16 + d] +
                               (copy % 2 == 0 ? 0 : 0.001f * noise(random_)));
            keys.push_back(static_cast<std::uint64_t>(copy));
        }
    add(data, keys);
    link_all();
    const auto queries = ClusteredData(2, shape).make(10);
    double recall = 0;
    for (std::uint64_t copy = 0; copy < 6; ++copy)
        for (std::size_t q = 0; q < 10; ++q) {
            SCOPED_TRACE(copy * 100 + q);
            const float *query = &queries[q * 16];
            const RowFilter filter = within(copy, copy);
            Search search;
            const auto hits = search_with(search, query, filtered_params(filter), 3000);
            ASSERT_EQ(hits.size(), 400u);
            expect_all_admitted(filter, query, hits, 40);
            recall += recall_at_ten(filter, query, 40) / 60;
        }
    EXPECT_GE(recall, 0.985);
}

TEST_F(FilteredSearchTest, WhatIsWithinADistanceIsCountedOfThoseThatPass) {
    make(10000);
    link_all();
    const auto query = ClusteredData(2, shape).make(1);
    for (const std::uint64_t share : {20, 300}) {
        const RowFilter filter = permille(share);
        const auto truth = exact_filtered(filter, query.data());
        const std::size_t wanted = truth.size() / 2;
        auto params = filtered_params(filter);
        params.exact_after = 0;
        params.count_within = truth[wanted - 1].first;
        Search search;
        ASSERT_TRUE(search.start(*nodes_, Watermarks::load(state_), query.data(), params).ok());
        EXPECT_NEAR(static_cast<double>(search.statistics().within), static_cast<double>(wanted),
                    static_cast<double>(wanted) / 2);
        ASSERT_TRUE(search.next().value());
        EXPECT_EQ(search.statistics().within, wanted);
        EXPECT_LE(search.statistics().scanned, truth.size());
    }
}

TEST_F(FilteredSearchTest, TheLeastOfTheNextAndTheLikelyNextKeepToTheFilter) {
    make(10000);
    link_first(9500);
    const auto queries = ClusteredData(2, shape).make(10);
    for (const std::uint64_t share : {10, 200})
        for (std::size_t q = 0; q < 10; ++q) {
            const float *query = &queries[q * 16];
            const RowFilter filter = permille(share);
            Search search;
            ASSERT_TRUE(
                search.start(*nodes_, Watermarks::load(state_), query, filtered_params(filter))
                    .ok());
            for (int i = 0; i < 60; ++i) {
                const double least = search.least_next();
                Tid tids[8];
                const std::size_t likely = search.likely_next(tids, 8);
                for (std::size_t t = 0; t < likely; ++t)
                    EXPECT_TRUE(
                        filter.admits(*nodes_, tids[t].block * 7 + tids[t].offset - NodeId{1}));
                const auto hit = search.next();
                ASSERT_TRUE(hit.ok() && hit.value());
                EXPECT_GE(hit.value()->distance, least);
            }
        }
}

TEST_F(FilteredSearchTest, ASearchThatLeavesOutKeepsToItsLimit) {
    make(10000);
    link_all();
    const auto query = ClusteredData(2, shape).make(1);
    const RowFilter filter = permille(300);
    auto params = filtered_params(filter);
    params.rest = Search::Params::Rest::left_out;
    Search search;
    ASSERT_TRUE(search.start(*nodes_, Watermarks::load(state_), query.data(), params).ok());
    search.limit_distances(3000);
    std::vector<Hit> hits;
    for (;;) {
        const auto hit = search.next();
        ASSERT_TRUE(hit.ok());
        if (!hit.value())
            break;
        hits.push_back(*hit.value());
    }
    EXPECT_TRUE(search.statistics().left_out);
    EXPECT_FALSE(search.statistics().exact);
    EXPECT_LE(search.statistics().distances, 3500u);
    EXPECT_GE(hits.size(), 10u);
    for (std::size_t i = 0; i < hits.size(); ++i) {
        EXPECT_TRUE(filter.admits(*nodes_, hits[i].id));
        EXPECT_TRUE(i == 0 || hits[i - 1].distance <= hits[i].distance);
    }
}

int polls_left = 0;

TEST_F(FilteredSearchTest, AnInterruptedSearchGoesOn) {
    make(10000);
    link_first(9000);
    const auto query = ClusteredData(2, shape).make(1);
    for (const std::uint64_t share : {1, 10, 100, 600}) {
        SCOPED_TRACE(share);
        const RowFilter filter = permille(share);
        auto params = filtered_params(filter);
        params.exact_after = 300;
        Search search;
        const auto whole = search_with(search, query.data(), params, 20000);
        params.interrupted = [] { return polls_left-- <= 0; };
        polls_left = 1000000;
        ASSERT_TRUE(search.start(*nodes_, Watermarks::load(state_), query.data(), params).ok());
        std::vector<Hit> hits;
        std::size_t interruptions = 0;
        for (;;) {
            // Each time it comes a little farther.
            polls_left = static_cast<int>(interruptions);
            const auto hit = search.next();
            if (!hit.ok()) {
                ASSERT_EQ(hit.status().code(), Code::interrupted);
                ++interruptions;
                continue;
            }
            if (!hit.value())
                break;
            hits.push_back(*hit.value());
        }
        EXPECT_GT(interruptions, 0u);
        ASSERT_EQ(hits.size(), whole.size());
        for (std::size_t i = 0; i < hits.size(); ++i)
            ASSERT_EQ(hits[i].id, whole[i].id) << i;
    }
}

TEST_F(FilteredSearchTest, RecallIsThatOfASearchWithoutAFilter) {
    columns_ = 1;
    create(16);
    constexpr ClusteredShape wide{16, 30, 10, 0.1f};
    const auto data = ClusteredData(1, wide).make(10000);
    add(data, keys_by_first_element(data));
    link_all();
    const auto queries = ClusteredData(2, wide).make(30);
    enum class Kind { correlated, opposed };
    for (const Kind kind : {Kind::correlated, Kind::opposed})
        for (const std::uint64_t parts : {2, 5, 10, 20, 50, 100, 1000}) {
            double recall = 0;
            for (std::size_t q = 0; q < 30; ++q) {
                const float *query = &queries[q * 16];
                const std::uint64_t width = keys_in_all / parts;
                const NodeId nearest = exact(query, 0, 10000).front().second;
                const std::uint64_t own = nodes_->key(nearest, 0);
                std::uint64_t first = own < keys_in_all / 2 ? keys_in_all - width : 0;
                if (kind == Kind::correlated)
                    first = std::min(own - std::min(own, width / 2), keys_in_all - width);
                const RowFilter filter = within(first, first + width);
                recall += recall_at_ten(filter, query, 40) / 30;
            }
            EXPECT_GE(recall, 0.981)
                << (kind == Kind::correlated ? "correlated, one of " : "opposed, one of ") << parts;
        }
}

TEST_F(FilteredSearchTest, RecallWhereTheFilterHasNothingToDoWithTheVectors) {
    columns_ = 1;
    create(16);
    constexpr ClusteredShape wide{16, 30, 10, 0.1f};
    add(ClusteredData(1, wide).make(10000), even_keys(10000));
    link_all();
    const auto queries = ClusteredData(2, wide).make(30);
    for (const std::uint64_t share : {500, 200, 100, 50, 20, 10, 1}) {
        double recall = 0;
        for (std::size_t q = 0; q < 30; ++q)
            recall += recall_at_ten(permille(share), &queries[q * 16], 40) / 30;
        EXPECT_GE(recall, 0.981) << share << " of a thousand";
    }
}

// One random index with random filters.
class RandomFilteredSearchTest : public FilteredSearchTest,
                                 public ::testing::WithParamInterface<unsigned> {
  protected:
    std::vector<float> random_vectors(std::size_t rows) {
        std::vector<float> data =
            ClusteredData(random_(), {dimensions_, 1 + random_() % 20, 4, 0.1f}).make(rows);
        std::normal_distribution<float> normal;
        switch (random_() % 5) {
            case 0:  // few kinds
                for (std::size_t i = 0; i < rows; ++i)
                    std::copy_n(&data[random_() % std::min<std::size_t>(rows, 20) * dimensions_],
                                dimensions_, &data[i * dimensions_]);
                break;
            case 1:  // near copies
                for (std::size_t i = rows / 2; i < rows; ++i)
                    for (std::size_t d = 0; d < dimensions_; ++d)
                        data[i * dimensions_ + d] =
                            data[i % 10 * dimensions_ + d] + 1e-4f * normal(random_);
                break;
            case 2:  // beyond what floats can measure, and vectors that point nowhere
                for (std::size_t i = 0; i < rows; ++i)
                    if (const auto kind = random_() % 8; kind < 2)
                        std::fill_n(&data[i * dimensions_], dimensions_, kind == 0 ? 0 : 3e30f);
                break;
            default:
                break;
        }
        return data;
    }
    // Of each row one key by the vector and one that has nothing to do with it, some NULL.
    std::vector<std::uint64_t> random_keys(const std::vector<float> &data) {
        const auto by_vector = keys_by_first_element(data);
        std::vector<std::uint64_t> keys;
        for (const std::uint64_t key : by_vector) {
            keys.push_back(key);
            keys.push_back(random_() % 10 == 0 ? RowFilter::null_key : random_() % keys_in_all);
        }
        return keys;
    }
    RowFilter random_filter() {
        static constexpr std::uint64_t shares[] = {0, 1, 10, 50, 200, 500, 900, 1000};
        RowFilter filter;
        const auto columns = 1 + random_() % 3;  // one, the other, both
        for (std::uint32_t column = 0; column < 2; ++column)
            if ((columns >> column & 1) != 0) {
                const std::uint64_t width = keys_in_all / 1000 * shares[random_() % 8];
                const std::uint64_t first = random_() % (keys_in_all - width + 1);
                filter.add({column,
                            RowFilter::Condition::Kind::within_ranges,
                            {{first, first + width}},
                            {}});
            }
        return filter;
    }
};

TEST_P(RandomFilteredSearchTest, ReturnsWhatPassesOnceAndInOrder) {
    random_.seed(GetParam());
    SCOPED_TRACE(testing::Message() << "seed " << GetParam());
    static constexpr std::uint32_t sizes[] = {3, 16, 100, 200};
    static constexpr distance::Metric metrics[] = {
        distance::Metric::l2_squared, distance::Metric::inner_product, distance::Metric::cosine};
    columns_ = 2;
    create(sizes[random_() % 4], 8, random_() % 2 == 0 ? Codes::none : Codes::as_usual,
           metrics[random_() % 3]);
    const std::size_t rows = random_() % 3 == 0 ? 1 + random_() % 20 : 300 + random_() % 1200;
    const auto data = random_vectors(rows);
    add(data, random_keys(data));
    const auto linked = static_cast<NodeId>(random_() % 4 == 0 ? random_() % (rows + 1) : rows);
    if (linked > 0)
        link_first(linked);
    const std::uint64_t deleted = random_() % 3 == 0 ? random_() % 1000 : 0;
    for (NodeId id = 0; id < rows; ++id)
        if (random_() % 1000 < deleted)
            nodes_->mark_deleted(id);
    Search search;
    for (int i = 0; i < 6; ++i) {
        SCOPED_TRACE(i);
        auto query = ClusteredData(random_(), {dimensions_, 20, 4, 0.1f}).make(1);
        if (random_() % 8 == 0)
            std::fill(query.begin(), query.end(), 0.0f);
        const RowFilter filter = random_filter();
        auto params = filtered_params(filter, 1 + static_cast<std::uint32_t>(random_() % 60));
        params.exact_after = random_() % 3 == 0 ? random_() % 100 : 20000;
        const auto hits = search_with(search, query.data(), params, rows + 1);
        expect_all_admitted(filter, query.data(), hits, rows);
        if (search.statistics().filtered == Filtered::by_pass)
            expect_exact(filter, query.data(), hits);
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomFilteredSearchTest, ::testing::Range(1u, 31u));

TEST(FilterPlanTest, AsManyResultsAreWantedAsTheWidthOrAQuarterOfItWhenManyAreRefused) {
    for (const std::size_t width : {1u, 2u, 7u, 40u, 1000u}) {
        EXPECT_EQ(FilterPlan::results_wanted(width, 0), width);
        std::size_t before = width;
        for (std::size_t refused = 1; refused < 100 * width; refused *= 2) {
            const std::size_t wanted = FilterPlan::results_wanted(width, refused);
            EXPECT_LE(wanted, before);
            EXPECT_GE(wanted, (width + 3) / 4);
            before = wanted;
        }
        EXPECT_LE(before, width / 3 + 1);
    }
}

}  // namespace
}  // namespace dvec::graph
