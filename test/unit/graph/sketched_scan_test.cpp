// A pass by sketches returns nearly all of the nearest rows in their order; and whatever it misses,
// the stream that it is part of returns every row once, and those that were missed last.
#include "engine/graph/sketched_scan.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/graph/completion_stream.hpp"
#include "engine/graph/filter_memory.hpp"
#include "test/unit/graph/graph_fixture.hpp"

namespace dvec::graph {
namespace {

using distance::Metric;
using Filtered = SearchStatistics::Filtered;

constexpr std::size_t enough_bytes = std::size_t{1} << 26;

RowFilter at_most(std::uint64_t last) {
    RowFilter filter;
    filter.add({0, RowFilter::Condition::Kind::within_ranges, {{0, last}}, {}});
    return filter;
}

class SketchedScanTest : public GraphTest {
  protected:
    // With a key from 0 to 99 for each.
    void make(std::uint32_t dimensions, Metric metric, const std::vector<float> &data) {
        columns_ = 1;
        create(dimensions, 8, Codes::as_usual, metric);
        std::vector<std::uint64_t> keys;
        for (std::size_t i = 0; i < data.size() / dimensions; ++i)
            keys.push_back(random_() % 100);
        add(data, keys);
        state_.linked = state_.allocated.load();
        state_.entry_point = EntryPoint::pack({0, 0});
    }
    // Of so many of a hundred rows; false where there can be none.
    bool make_sketches(Sketches &sketches, unsigned percent) {
        const NodeId rows = state_.allocated.load();
        if (!sketches.prepare(*nodes_, rows, kernel_, dimensions_, enough_bytes))
            return false;
        for (NodeId id = 0; id < rows; ++id)
            if (random_() % 100 < percent)
                sketches.make(*nodes_, id);
        return true;
    }
    std::vector<std::pair<double, NodeId>> exact_filtered(const RowFilter &filter,
                                                          const float *query) const {
        auto found = exact(query, 0, state_.allocated.load());
        std::erase_if(found, [&](const auto &row) { return !filter.admits(*nodes_, row.second); });
        return found;
    }
    // A query on cache lines, as kernels have it.
    const std::byte *aligned(const float *query) {
        std::memcpy(query_, query, dimensions_ * sizeof(float));
        return reinterpret_cast<const std::byte *>(query_);
    }
    SearchContext context_for(const RowFilter &filter, const float *query, Sketches *sketches) {
        SearchContext context;
        context.begin(*nodes_, Watermarks::load(state_), kernel_, dimensions_, aligned(query));
        context.count_within = std::nan("");
        context.begin_filter(filter, nullptr, sketches);
        return context;
    }

    std::mt19937_64 random_{5};
    alignas(cache_line) float query_[1024];
};

TEST_F(SketchedScanTest, TheNearestComeInOrderAndFewRowsAreMeasured) {
    for (const Metric metric : {Metric::l2_squared, Metric::inner_product, Metric::cosine})
        for (const std::uint32_t dimensions : {100u, 128u}) {
            SCOPED_TRACE(testing::Message() << dimensions << ", " << static_cast<int>(metric));
            const ClusteredShape shape{dimensions, 30, 12, 0.1f};
            make(dimensions, metric, ClusteredData(1, shape).make(12000));
            Sketches sketches;
            make_sketches(sketches, 100);
            const RowFilter filter = at_most(49);
            const auto queries = ClusteredData(2, shape).make(20);
            std::size_t found = 0, measured = 0;
            for (std::size_t q = 0; q < 20; ++q) {
                const float *query = &queries[q * dimensions];
                const auto truth = exact_filtered(filter, query);
                SearchContext context = context_for(filter, query, &sketches);
                SketchedScan scan;
                const std::vector<NodeId> none;
                scan.start(Ranked::first(), none, 80);
                std::vector<NodeId> ids;
                Ranked before = Ranked::first();
                for (int i = 0; i < 40; ++i, scan.take()) {
                    const auto head = scan.nearest(context);
                    ASSERT_TRUE(head.ok() && head.value()) << i;
                    EXPECT_GT(*head.value(), before);
                    before = *head.value();
                    ids.push_back(head.value()->id());
                    EXPECT_LE(*scan.least(), before);
                }
                EXPECT_EQ(scan.taken(), ids);
                EXPECT_EQ(scan.last(), before);
                for (std::size_t i = 0; i < 10; ++i)
                    found += std::count(ids.begin(), ids.end(), truth[i].second) > 0 ? 1 : 0;
                measured += context.statistics.distances;
            }
            EXPECT_GE(found, 197u);
            EXPECT_LE(measured, 20 * 2000u);
            forget();
        }
}

// Kinds of rows that sketches tell nothing of, or wrongly, and rows without a sketch.
TEST_F(SketchedScanTest, WhateverSketchesSayEveryRowComesOnceAndWhatWasMissedLast) {
    for (unsigned seed = 1; seed <= 40; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        random_.seed(seed);
        static constexpr std::uint32_t sizes[] = {16, 96, 100, 128, 200};
        static constexpr Metric metrics[] = {Metric::l2_squared, Metric::inner_product,
                                             Metric::cosine};
        const std::uint32_t dimensions = sizes[random_() % 5];
        const std::size_t rows = 1 + random_() % 6000;
        auto data = ClusteredData(seed, {dimensions, 1 + random_() % 20, 2, 0.1f}).make(rows);
        switch (random_() % 4) {
            case 0:  // few kinds
                for (std::size_t i = 0; i < rows; ++i)
                    std::copy_n(&data[random_() % std::min<std::size_t>(rows, 20) * dimensions],
                                dimensions, &data[i * dimensions]);
                break;
            case 1:  // one kind
                for (std::size_t i = 1; i < rows; ++i)
                    std::copy_n(data.data(), dimensions, &data[i * dimensions]);
                break;
            case 2:  // without length, or beyond what can be measured
                for (std::size_t i = 0; i < rows; ++i)
                    if (const auto kind = random_() % 8; kind < 2)
                        std::fill_n(&data[i * dimensions], dimensions, kind == 0 ? 0 : 3e30f);
                break;
            default:
                break;
        }
        make(dimensions, metrics[random_() % 3], data);
        Sketches sketches;
        const bool some = make_sketches(sketches, random_() % 2 == 0 ? 100 : 60);
        for (NodeId id = 0; id < rows; ++id)
            if (random_() % 10 == 0)
                nodes_->mark_deleted(id);
        for (int i = 0; i < 3; ++i) {
            auto query = ClusteredData(random_(), {dimensions, 20, 2, 0.1f}).make(1);
            if (random_() % 8 == 0)
                std::fill(query.begin(), query.end(), 0.0f);
            const RowFilter filter = at_most(random_() % 100);
            const auto truth = exact_filtered(filter, query.data());
            SearchContext context = context_for(filter, query.data(), some ? &sketches : nullptr);
            // A walk before has returned some.
            std::vector<NodeId> returned;
            Ranked farthest = Ranked::first();
            for (std::size_t at = 0; at < truth.size() && random_() % 4 != 0; ++at) {
                returned.push_back(truth[at].second);
                farthest = context.measure_whole(truth[at].second);
            }
            std::sort(returned.begin(), returned.end());
            CompletionStream stream;
            stream.start(context, farthest, returned, some ? 1 + random_() % 100 : 0);
            std::set<NodeId> seen(returned.begin(), returned.end());
            Ranked before = farthest;
            std::size_t missed = 0;
            bool last_part = false;
            for (;;) {
                const auto head = stream.head();
                ASSERT_TRUE(head.ok());
                if (!head.value()) {
                    if (!stream.begin_missed())
                        break;
                    ASSERT_FALSE(last_part);
                    last_part = true;
                    before = Ranked::first();
                    continue;
                }
                EXPECT_GT(*head.value(), before);
                before = *head.value();
                missed += last_part ? 1 : 0;
                EXPECT_TRUE(seen.insert(before.id()).second) << before.id() << " came twice";
                EXPECT_TRUE(context.admits(before.id()));
                stream.take();
            }
            EXPECT_EQ(seen.size(), truth.size());
            EXPECT_LE(missed, truth.size() / 4);
        }
        forget();
    }
}

int polls_left = 0;

TEST_F(SketchedScanTest, AnInterruptedScanBeginsAnew) {
    const ClusteredShape shape{100, 30, 12, 0.1f};
    make(100, Metric::l2_squared, ClusteredData(1, shape).make(12000));
    Sketches sketches;
    make_sketches(sketches, 40);
    const auto query = ClusteredData(2, shape).make(1);
    const RowFilter filter = at_most(70);
    const std::vector<NodeId> none;
    std::vector<Ranked> whole;
    for (const bool interrupted : {false, true}) {
        SearchContext context = context_for(filter, query.data(), &sketches);
        if (interrupted)
            context.interrupted = [] { return polls_left-- <= 0; };
        SketchedScan scan;
        scan.start(Ranked::first(), none, 50);
        int interruptions = 0;
        for (std::size_t i = 0; i < 40;) {
            polls_left = interruptions;
            const auto head = scan.nearest(context);
            if (!head.ok()) {
                ASSERT_TRUE(interrupted);
                ASSERT_EQ(head.status().code(), base::Code::interrupted);
                ++interruptions;
                continue;
            }
            ASSERT_TRUE(head.value());
            if (interrupted)
                EXPECT_EQ(*head.value(), whole[i]);
            else
                whole.push_back(*head.value());
            scan.take();
            ++i;
        }
        EXPECT_EQ(interruptions > 0, interrupted);
    }
}

// Without anybody's doing but searching: first by the walk, then by sketches.
TEST_F(SketchedScanTest, SketchesAreMadeWhereSearchesSaveTimeByThem) {
    const ClusteredShape shape{128, 30, 12, 0.1f};
    make(128, Metric::l2_squared, ClusteredData(1, shape).make(12000));
    state_.linked = 0;
    state_.entry_point = 0;
    link_all();
    FilterMemory memory;
    Search::Params params = search_params(40);
    params.memory = &memory;
    params.memory_bytes = enough_bytes;
    const RowFilter filter = at_most(9);
    params.filter = &filter;
    const auto queries = ClusteredData(2, shape).make(400);
    std::size_t by_sketches = 0, found = 0;
    Search search;
    for (std::size_t q = 0; q < 400; ++q) {
        const float *query = &queries[q * 128];
        const auto hits = search_with(search, query, params, 10);
        const bool sketched =
            search.statistics().filtered == Filtered::by_pass && !search.statistics().exact;
        if (q < 300) {
            EXPECT_FALSE(sketched && q < 2);
            continue;
        }
        by_sketches += sketched ? 1 : 0;
        const auto truth = exact_filtered(filter, query);
        for (const Hit &hit : hits)
            found += hit.distance <= truth[9].first ? 1 : 0;
    }
    EXPECT_EQ(by_sketches, 100u);
    EXPECT_GE(found, 985u);
    // Where every row is to be measured, or there is to be no memory, there are none.
    params.exact_after = 0;
    search_with(search, queries.data(), params, 10);
    EXPECT_TRUE(search.statistics().exact);
    params.exact_after = 20000;
    params.memory_bytes = 0;
    search_with(search, queries.data(), params, 10);
    EXPECT_TRUE(search.statistics().exact || search.statistics().filtered == Filtered::by_walk);
}

}  // namespace
}  // namespace dvec::graph
