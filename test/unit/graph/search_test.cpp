// The stream of hits: complete, ordered, nothing twice, nothing dead, whatever part of the index
// the nodes are in and whatever is in the link lists.
#include "engine/graph/search.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "test/unit/graph/graph_fixture.hpp"
#include "test/unit/support/sanitized.hpp"

namespace dvec::graph {
namespace {

using base::Code;

constexpr ClusteredShape shape{16, 10, 4, 0.1f};

class SearchTest : public GraphTest {
  protected:
    // Links so many rows; returns the parameters of a search that measures all of them.
    Search::Params link_to_measure_all(std::size_t rows) {
        create(16);
        add(ClusteredData(1, shape).make(rows));
        link_all();
        auto params = search_params(20);
        params.exact_after = 0;
        return params;
    }
};

TEST_F(SearchTest, EmptyIndexHasNoHits) {
    create(16);
    const std::vector<float> query(16, 0);
    EXPECT_TRUE(search(query.data(), 10, 10).empty());
    Search never_started;
    EXPECT_FALSE(never_started.next().value());
    EXPECT_EQ(never_started.memory_bytes(), 0u);
    EXPECT_EQ(never_started.statistics().distances, 0u);
}

TEST_F(SearchTest, OneNodeIsFoundInTailAndGraph) {
    create(16);
    const auto data = ClusteredData(1, shape).make(1);
    add(data);
    ASSERT_EQ(search(data.data(), 1, 5).size(), 1u);
    link_all();
    ASSERT_EQ(search(data.data(), 1, 5).size(), 1u);
}

TEST_F(SearchTest, TailIsExact) {
    create(16);
    add(ClusteredData(1, shape).make(1000));
    for (NodeId id = 0; id < 1000; id += 9)
        nodes_->mark_deleted(id);
    for (NodeId id = 4; id < 1000; id += 11)
        nodes_->mark_hole(id);
    const auto query = ClusteredData(2, shape).make(1);
    const auto truth = exact(query.data(), 0, 1000);
    const auto hits = search(query.data(), 1, 2000);
    ASSERT_EQ(hits.size(), truth.size());
    for (std::size_t i = 0; i < hits.size(); ++i) {
        EXPECT_EQ(hits[i].id, truth[i].second);
        EXPECT_EQ(hits[i].distance, truth[i].first);
    }
}

TEST_F(SearchTest, SlotsNotReadyAreNotFound) {
    create(16);
    const auto data = ClusteredData(1, shape).make(20);
    add(data);
    nodes_->write_payload(7, tid_of(7), &data[7 * 16]);
    EXPECT_EQ(search(data.data(), 10, 100).size(), 19u);
    nodes_->publish(7);
    EXPECT_EQ(search(data.data(), 10, 100).size(), 20u);
}

TEST_F(SearchTest, GraphAndTailComeMergedAndComplete) {
    create(16);
    add(ClusteredData(1, shape).make(4000));
    link_first(3000);
    lose_some(3000);
    const auto queries = ClusteredData(2, shape).make(5);
    Search search;
    for (std::size_t q = 0; q < 5; ++q) {
        const float *query = &queries[q * 16];
        const auto hits = search_with(search, query, search_params(20), 10000);
        expect_complete(hits, query, 200);
        EXPECT_TRUE(search.statistics().exact);
        EXPECT_GT(search.statistics().rounds, 2u);
        EXPECT_EQ(search.statistics().tail, 1000u);
        const auto truth = exact(query, 0, 4000);
        std::size_t right = 0;
        for (std::size_t i = 0; i < 500; ++i)
            right += hits[i].distance <= truth[499].first;
        EXPECT_GE(right, 475u) << "rounds after the first find what is near, too";
    }
}

TEST_F(SearchTest, ExactCompletionTakesOverWhereTold) {
    create(16);
    add(ClusteredData(1, shape).make(7000));
    link_all();
    const auto query = ClusteredData(2, shape).make(1);
    for (const std::uint64_t limit : {0, 100, 4000}) {
        SCOPED_TRACE(limit);
        Search search;
        auto params = search_params(20);
        params.exact_after = limit;
        // More than a first chunk of the exact scan, so that it makes several passes.
        const auto hits = search_with(search, query.data(), params, 20000);
        expect_complete(hits, query.data(), limit == 0 ? 0 : 200);
        // Everything the walk did not return is in exact order.
        if (limit == 0) {
            const auto truth = exact(query.data(), 0, 7000);
            for (std::size_t i = 0; i < truth.size(); ++i)
                ASSERT_EQ(hits[i].id, truth[i].second);
        }
    }
}

TEST_F(SearchTest, ASearchThatLeavesOutEndsWithTheWalkAndKeepsItsOrder) {
    create(16);
    add(ClusteredData(1, shape).make(4000));
    link_first(3000);
    const auto query = ClusteredData(2, shape).make(1);
    auto params = search_params(20);
    params.rest = Search::Params::Rest::left_out;
    Search search;
    const auto hits = search_with(search, query.data(), params, 10000);
    EXPECT_TRUE(search.statistics().left_out);
    EXPECT_FALSE(search.statistics().cut_short);
    EXPECT_FALSE(search.statistics().exact);
    EXPECT_GT(hits.size(), 3500u);
    for (std::size_t i = 1; i < hits.size(); ++i)
        ASSERT_LE(hits[i - 1].distance, hits[i].distance);
    // Rounds grow, and the one that would be too much is not begun.
    ASSERT_TRUE(search.start(*nodes_, Watermarks::load(state_), query.data(), params).ok());
    search.limit_distances(2000);
    std::vector<Hit> limited;
    while (const auto hit = search.next().value())
        limited.push_back(*hit);
    EXPECT_TRUE(search.statistics().left_out);
    EXPECT_TRUE(search.statistics().cut_short);
    EXPECT_LT(search.statistics().distances, 2000u);
    EXPECT_GE(limited.size(), 20u) << "a first round";
    // Nor does the tail go on where that round ends, past nearer rows that it has not come to.
    const auto truth = exact(query.data(), 0, 4000);
    const auto nearer = std::count_if(truth.begin(), truth.end(), [&](const auto &row) {
        return row.first <= limited.back().distance;
    });
    EXPECT_GE(static_cast<double>(limited.size()), 0.9 * static_cast<double>(nearer));
    EXPECT_LT(limited.size(), 500u) << "of 1,000 in the tail";
    // What measures all from the beginning leaves nothing out.
    params.exact_after = 0;
    EXPECT_EQ(search_with(search, query.data(), params, 10000).size(), 4000u);
    EXPECT_FALSE(search.statistics().left_out);
}

TEST_F(SearchTest, WhatIsWithinADistanceIsCountedWithTheFirstHit) {
    auto params = link_to_measure_all(6000);
    const auto query = ClusteredData(2, shape).make(1);
    Search search;
    const auto hits = search_with(search, query.data(), params, 10000);
    ASSERT_EQ(hits.size(), 6000u);
    EXPECT_EQ(search.statistics().within, 0u);
    params.count_within = hits[4999].distance;
    search_with(search, query.data(), params, 1);
    EXPECT_GE(search.statistics().within, 5000u);
    EXPECT_EQ(search.statistics().scanned, 6000u);
    const auto equal = std::count_if(hits.begin() + 5000, hits.end(), [&](const Hit &hit) {
        return hit.distance == params.count_within;
    });
    EXPECT_EQ(search.statistics().within, 5000u + static_cast<std::uint64_t>(equal));
}

TEST_F(SearchTest, WhatIsWithinADistanceIsEstimatedBeforeAllIsMeasured) {
    auto params = link_to_measure_all(10000);
    const auto query = ClusteredData(2, shape).make(1);
    Search search;
    const auto hits = search_with(search, query.data(), params, 10000);
    ASSERT_EQ(hits.size(), 10000u);
    for (const std::size_t within : {100u, 1000u, 5000u, 10000u}) {
        params.count_within = hits[within - 1].distance;
        ASSERT_TRUE(search.start(*nodes_, Watermarks::load(state_), query.data(), params).ok());
        // Five standard deviations of a sample of 156.
        const double share = static_cast<double>(within) / 10000;
        EXPECT_NEAR(static_cast<double>(search.statistics().within), static_cast<double>(within),
                    5 * 10000 * std::sqrt(share * (1 - share) / 156) + 1)
            << within;
        EXPECT_LE(search.statistics().distances, 157u);
        EXPECT_EQ(search.statistics().scanned, 0u);
    }
}

TEST_F(SearchTest, OnePassFindsAllThatIsWithinADistanceAndFurtherOnesTheRest) {
    auto params = link_to_measure_all(12000);
    const auto query = ClusteredData(2, shape).make(1);
    Search search;
    const auto hits = search_with(search, query.data(), params, 12000);
    ASSERT_EQ(hits.size(), 12000u);
    for (const std::size_t within : {0u, 1u, 9000u, 11999u, 12000u}) {
        params.count_within = within == 0 ? -1 : hits[within - 1].distance;
        EXPECT_EQ(search_with(search, query.data(), params, within + 1).size(),
                  std::min(within + 1, hits.size()));
        EXPECT_EQ(search.statistics().scanned, 12000u) << within;
        const auto all = search_with(search, query.data(), params, 12001);
        ASSERT_EQ(all.size(), hits.size()) << within;
        for (std::size_t i = 0; i < all.size(); ++i)
            ASSERT_EQ(all[i].id, hits[i].id) << within << " " << i;
    }
}

TEST_F(SearchTest, FewHitsCostFewDistances) {
    create(16);
    add(ClusteredData(1, shape).make(6000));
    link_all();
    Search search;
    search_with(search, ClusteredData(2, shape).make(1).data(), search_params(20), 10);
    EXPECT_FALSE(search.statistics().exact);
    EXPECT_EQ(search.statistics().rounds, 0u);
    EXPECT_LT(search.statistics().distances, 1500u);
    EXPECT_LE(search.statistics().expanded, 60u);
    EXPECT_LT(search.memory_bytes(), 200000u);
}

TEST_F(SearchTest, TellsWhichRowsComeNext) {
    create(16);
    add(ClusteredData(1, shape).make(300));
    link_all();
    const auto query = ClusteredData(2, shape).make(1);
    const auto truth = search(query.data(), 50, 300);
    Search search;
    Tid tids[100];
    EXPECT_EQ(search.likely_next(tids, 100), 0u);
    ASSERT_TRUE(
        search.start(*nodes_, Watermarks::load(state_), query.data(), search_params(50)).ok());
    // Only next() searches.
    EXPECT_EQ(search.likely_next(tids, 100), 0u);
    ASSERT_TRUE(search.next().ok());
    ASSERT_EQ(search.likely_next(tids, 5), 5u);
    EXPECT_EQ(tids[4], truth[5].tid);
    nodes_->mark_deleted(truth[3].id);
    // The rest of the first round, and no more.
    ASSERT_EQ(search.likely_next(tids, 100), 48u);
    for (std::size_t i = 0; i < 48; ++i) {
        auto hit = search.next();
        ASSERT_TRUE(hit.ok() && hit.value());
        EXPECT_EQ(tids[i], hit.value()->tid);
    }
    EXPECT_EQ(search.likely_next(tids, 100), 0u);
    ASSERT_TRUE(search.next().ok());
    EXPECT_GT(search.likely_next(tids, 100), 0u);
}

// What is at hand costs no round, and what is not begins one or ends the search.
TEST_F(SearchTest, TellsWhetherTheNextIsAtHand) {
    create(16);
    add(ClusteredData(1, shape).make(3000));
    link_first(2900);
    const auto query = ClusteredData(2, shape).make(1);
    Search search;
    EXPECT_FALSE(search.next_is_at_hand().value());
    ASSERT_TRUE(
        search.start(*nodes_, Watermarks::load(state_), query.data(), search_params(20)).ok());
    std::size_t returned = 0;
    std::size_t rounds_begun = 0;
    std::size_t known = 0;  // bounds of the next distance
    for (bool ended = false; !ended; ++returned) {
        const std::uint64_t distances = search.statistics().distances;
        const double least = search.least_next();
        EXPECT_EQ(search.statistics().distances, distances);
        known += std::isfinite(least) ? 1 : 0;
        const bool at_hand = search.next_is_at_hand().value();
        const std::uint32_t rounds = search.statistics().rounds;
        const bool exact = search.statistics().exact;
        auto hit = search.next();
        ASSERT_TRUE(hit.ok());
        EXPECT_TRUE(!hit.value() || !comes_before(hit.value()->distance, least)) << returned;
        ended = !hit.value();
        if (at_hand) {
            EXPECT_EQ(search.statistics().rounds, rounds) << returned;
            EXPECT_EQ(search.statistics().exact, exact) << returned;
        } else {
            ++rounds_begun;
        }
    }
    EXPECT_EQ(returned, 3001u);
    EXPECT_GT(rounds_begun, 2u);
    EXPECT_LT(rounds_begun, 100u);
    EXPECT_GT(known, returned / 4);
}

// What a selective filter lets through is spread over many rounds: none of them may lose many.
TEST_F(SearchTest, RoundsAfterTheFirstMissLittle) {
    constexpr std::size_t wanted = test::sanitized ? 250 : 1000;
    create(64);
    const ClusteredShape spread{64, 64, 16, 0.4f};
    add(ClusteredData(1, spread).make(8 * wanted));
    link_all();
    const auto queries = ClusteredData(2, spread).make(10);
    std::size_t found = 0;
    for (int i = 0; i < 10; ++i) {
        const float *query = queries.data() + i * 64;
        auto truth = exact(query, 0, state_.allocated.load());
        std::vector<bool> near(truth.size(), false);
        for (std::size_t rank = 0; rank < wanted; ++rank)
            near[truth[rank].second] = true;
        for (const Hit &hit : search(query, 40, wanted))
            found += near[hit.id];
    }
    EXPECT_GE(static_cast<double>(found) / (10 * wanted), 0.975);
}

TEST_F(SearchTest, LooksFurtherWhereItHasFoundTooFewWithinADistance) {
    create(32);
    std::mt19937 random(7);
    std::uniform_real_distribution<float> uniform;
    std::vector<float> rows(4000 * 32), queries(40 * 32);
    for (std::vector<float> *drawn : {&rows, &queries})
        for (float &x : *drawn)
            x = uniform(random);
    add(rows);
    link_all();
    constexpr std::size_t within = 10;
    std::size_t missing = 0, missing_still = 0;
    for (std::size_t q = 0; q < 40; ++q) {
        const float *query = &queries[q * 32];
        auto params = search_params(12);
        params.rest = Search::Params::Rest::left_out;
        const auto truth = exact(query, 0, 4000);
        params.farthest_wanted = (truth[within - 1].first + truth[within].first) / 2;
        const auto look = [&](std::uint64_t wanted, std::uint64_t most) {
            params.wanted_within = wanted;
            Search search;
            EXPECT_TRUE(search.start(*nodes_, Watermarks::load(state_), query, params).ok());
            search.limit_distances(most);
            std::size_t found = 0;
            for (double before = 0;; ++found) {
                const auto hit = search.next();
                EXPECT_TRUE(hit.ok());
                if (!hit.ok() || !hit.value() || hit.value()->distance > params.farthest_wanted)
                    break;
                EXPECT_GE(hit.value()->distance, before);
                before = hit.value()->distance;
            }
            return std::pair(found, search.statistics().distances);
        };
        const auto plain = look(0, UINT64_MAX);
        const auto further = look(within + 1, UINT64_MAX);
        EXPECT_GE(further.first, plain.first);
        missing += within - plain.first;
        missing_still += within - further.first;
        EXPECT_EQ(look(plain.first, UINT64_MAX), plain) << "a full answer costs no more";
        EXPECT_EQ(look(within + 1, plain.second), plain) << "nothing further is affordable";
    }
    EXPECT_GT(missing, 20u);
    EXPECT_LT(missing_still, missing / 4);
}

TEST_F(SearchTest, UnreachableNodesAreFoundInTheEnd) {
    create(16);
    add(ClusteredData(1, shape).make(500));
    link_all();
    // Cut the graph off behind its entry point.
    const auto entry = EntryPoint::unpack(state_.entry_point.load());
    for (int level = 0; level <= entry.level; ++level)
        list_words(entry.id, level)->store(0);
    const float *query = reinterpret_cast<const float *>(nodes_->vector(entry.id));
    const auto hits = search(query, 10, 1000);
    EXPECT_EQ(hits.size(), 500u);
    expect_complete(hits, query, 0);
}

TEST_F(SearchTest, EqualDistancesComeByIdAndAllOfThem) {
    create(16);
    std::vector<float> data(16 * 700, 0.25f);
    add(data);
    link_first(600);
    const auto hits = search(data.data(), 10, 1000);
    ASSERT_EQ(hits.size(), 700u);
    expect_complete(hits, data.data(), 700);
}

TEST_F(SearchTest, DeletedNodesTakeNoPlaceInTheBeam) {
    create(16);
    expect_deleted_take_no_place(shape, 4000, 200);
}

TEST_F(SearchTest, DeletionsDuringASearchAreRespected) {
    create(16);
    add(ClusteredData(1, shape).make(3000));
    link_first(2000);
    const auto query = ClusteredData(2, shape).make(1);
    Search search;
    ASSERT_TRUE(
        search.start(*nodes_, Watermarks::load(state_), query.data(), search_params(20)).ok());
    std::vector<bool> seen(3000, false);
    std::mt19937 random(6);
    std::size_t count = 0;
    for (;; ++count) {
        auto hit = search.next();
        ASSERT_TRUE(hit.ok());
        if (!hit.value())
            break;
        ASSERT_TRUE(live(hit.value()->id));
        ASSERT_FALSE(seen[hit.value()->id]);
        seen[hit.value()->id] = true;
        nodes_->mark_deleted(static_cast<NodeId>(random() % 3000));
    }
    for (NodeId id = 0; id < 3000; ++id)
        EXPECT_TRUE(seen[id] || !live(id));
    EXPECT_LT(count, 3000u);
}

TEST_F(SearchTest, WatermarksFixWhatIsSeen) {
    create(16);
    const auto data = ClusteredData(1, shape).make(1000);
    add(data);
    link_first(500);
    const Watermarks marks = Watermarks::load(state_);
    Search search;
    ASSERT_TRUE(search.start(*nodes_, marks, data.data(), search_params(20)).ok());
    add(data);
    link_first(1800);
    ASSERT_TRUE(nodes_->reserve_slots(200000).ok());
    ASSERT_TRUE(nodes_->refresh().ok());  // the mapping may move under the search
    std::size_t count = 0;
    for (;; ++count) {
        auto hit = search.next();
        ASSERT_TRUE(hit.ok());
        if (!hit.value())
            break;
        EXPECT_LT(hit.value()->id, 1000u);
    }
    EXPECT_EQ(count, 1000u);
}

TEST_F(SearchTest, RefusesWatermarksBeyondTheMapping) {
    create(16);
    add(ClusteredData(1, shape).make(10));
    Watermarks marks = Watermarks::load(state_);
    const std::vector<float> query(16, 0);
    Search search;
    marks.allocated = nodes_->mapped_slots() + 1;
    EXPECT_EQ(search.start(*nodes_, marks, query.data(), search_params(5)).code(),
              Code::invalid_argument);
    EXPECT_FALSE(search.next().value());
    marks.allocated = 5;
    marks.linked = 6;
    EXPECT_EQ(search.start(*nodes_, marks, query.data(), search_params(5)).code(),
              Code::invalid_argument);
}

int polls_left = 0;
bool stop_soon() { return polls_left-- == 0; }

TEST_F(SearchTest, InterruptedSearchCanGoOn) {
    create(16);
    add(ClusteredData(1, shape).make(6000));
    link_first(5000);
    const auto query = ClusteredData(2, shape).make(1);
    auto params = search_params(20);
    params.exact_after = 2000;
    params.interrupted = stop_soon;
    Search search;
    polls_left = 0;
    ASSERT_EQ(search.start(*nodes_, {0, 6000, {}}, query.data(), params).code(), Code::interrupted);
    polls_left = 1000;
    ASSERT_TRUE(search.start(*nodes_, Watermarks::load(state_), query.data(), params).ok());
    std::vector<Hit> hits;
    int interruptions = 0;
    for (;;) {
        polls_left = interruptions % 2;
        auto hit = search.next();
        if (!hit.ok()) {
            ASSERT_EQ(hit.status().code(), Code::interrupted);
            ASSERT_LT(++interruptions, 1000);
            polls_left = 1000;
            hit = search.next();
            ASSERT_TRUE(hit.ok());
        }
        if (!hit.value())
            break;
        hits.push_back(*hit.value());
    }
    EXPECT_GT(interruptions, 1);
    expect_complete(hits, query.data(), 200);
}

TEST_F(SearchTest, DistancesThatAreNotNumbersComeLast) {
    create(16);
    auto data = ClusteredData(1, shape).make(300);
    add(data);
    link_first(200);
    std::vector<float> query(data.begin(), data.begin() + 16);
    // Vectors damaged after linking, as no check of the type would let them in.
    for (const NodeId id : {5u, 150u, 250u})
        reinterpret_cast<float *>(const_cast<std::byte *>(nodes_->vector(id)))[3] = std::nanf("");
    const auto hits = search(query.data(), 10, 1000);
    ASSERT_EQ(hits.size(), 300u);
    for (std::size_t i = 0; i < 297; ++i)
        EXPECT_FALSE(std::isnan(hits[i].distance));
    for (std::size_t i = 297; i < 300; ++i)
        EXPECT_TRUE(std::isnan(hits[i].distance));
}

TEST_F(SearchTest, SurvivesAnyBytesInTheLinkLists) {
    create(16);
    add(ClusteredData(1, shape).make(2000));
    link_first(1500);
    std::mt19937 random(7);
    const auto query = ClusteredData(2, shape).make(1);
    for (int round = 0; round < 30; ++round) {
        for (int damage = 0; damage < 200; ++damage) {
            const NodeId id = random() % 2000;
            auto *words = list_words(id, 0);
            const std::uint32_t value = random() % 2 ? random() : random() % 3000;
            if (random() % 4 == 0)
                nodes_->slot(id)->upper.store(random() % 2 ? value : random() % 200);
            else
                words[random() % 33].store(value);
            if (state_.upper_allocated.load() > 0)
                nodes_->upper_block(random() % state_.upper_allocated.load())[random() % 18].store(
                    value);
        }
        const auto hits = search(query.data(), 20, 3000);
        ASSERT_EQ(hits.size(), 2000u);
        expect_complete(hits, query.data(), 2000);
        state_.entry_point.store(EntryPoint::pack(
            {static_cast<NodeId>(random() % 1500), static_cast<int>(random() % 30)}));
    }
}

TEST_F(SearchTest, AnImpossibleEntryPointMeansAnExactScan) {
    create(16);
    add(ClusteredData(1, shape).make(300));
    link_first(200);
    const auto query = ClusteredData(2, shape).make(1);
    for (const EntryPoint entry : {EntryPoint{200, 0}, EntryPoint{0xFFFFFFFF, 3}}) {
        state_.entry_point.store(EntryPoint::pack(entry));
        const auto hits = search(query.data(), 10, 1000);
        const auto truth = exact(query.data(), 0, 300);
        ASSERT_EQ(hits.size(), truth.size());
        for (std::size_t i = 0; i < truth.size(); ++i)
            EXPECT_EQ(hits[i].id, truth[i].second);
    }
}

}  // namespace
}  // namespace dvec::graph
