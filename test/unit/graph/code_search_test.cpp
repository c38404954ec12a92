// Searching vectors that have codes: whatever the codes say, the hits are those that the vectors
// themselves would give, in the order of their distances.
#include <cmath>
#include <random>

#include "test/unit/graph/graph_fixture.hpp"
#include "test/unit/support/sanitized.hpp"

namespace dvec::graph {
namespace {

using base::Code;
using distance::Metric;

constexpr std::uint32_t dimensions = 128;
constexpr ClusteredShape shape{dimensions, 20, 12, 0.1f};
// So long that most codes get no more than a first look.
constexpr std::uint32_t long_dimensions = 640;
constexpr ClusteredShape long_shape{long_dimensions, 20, 12, 0.1f};

// One element of a million in every vector: the steps of a code are larger than all the others.
std::vector<float> with_one_huge(std::vector<float> vectors) {
    for (std::size_t i = 5; i < vectors.size(); i += dimensions)
        vectors[i] = 1e6f;
    return vectors;
}

// Clusters whose size is a small part of the distance that their code is away from a vector.
std::vector<float> tiny_and_far(std::vector<float> vectors) {
    std::mt19937 random(9);
    std::normal_distribution<float> normal(0, 100);
    std::vector<float> centre(dimensions);
    for (float &x : centre)
        x = normal(random);
    for (std::size_t i = 0; i < vectors.size(); ++i)
        vectors[i] = centre[i % dimensions] + vectors[i] / 64;
    return vectors;
}

// Clusters of vectors that all but point in one direction, of length 1: near duplicates by cosine.
std::vector<float> narrow(std::vector<float> vectors) {
    std::mt19937 random(9);
    std::normal_distribution<float> normal;
    std::vector<float> centres(30 * dimensions);
    for (float &x : centres)
        x = normal(random);
    for (std::size_t at = 0; at < vectors.size(); at += dimensions) {
        const float *centre = &centres[at / dimensions % 30 * dimensions];
        float squares = 0;
        for (std::size_t d = 0; d < dimensions; ++d) {
            vectors[at + d] = centre[d] + vectors[at + d] / 50;
            squares += vectors[at + d] * vectors[at + d];
        }
        for (std::size_t d = 0; d < dimensions; ++d)
            vectors[at + d] /= std::sqrt(squares);
    }
    return vectors;
}

// Of many vectors the elements that a first look sees are all zero.
std::vector<float> often_empty_in_front(std::vector<float> vectors) {
    for (std::size_t at = 0; at < vectors.size(); at += long_dimensions)
        if (at / long_dimensions % 16 != 0)
            std::fill_n(&vectors[at], 256, 0.0f);
    return vectors;
}

// Each on a wave of its own between very short and very long ones.
std::vector<float> of_many_lengths(std::vector<float> vectors) {
    for (std::size_t i = 0; i < vectors.size(); ++i)
        vectors[i] *= std::exp(std::sin(static_cast<float>(i / dimensions)));
    return vectors;
}

class CodeSearchTest : public GraphTest {
  protected:
    using Change = std::vector<float> (*)(std::vector<float>);

    // Of so many rows, of which the first are linked and some are gone, all come, in several rounds
    // and the exact scan, as expect_complete() says.
    void expect_graph_and_tail(const ClusteredShape &of, NodeId rows, NodeId linked,
                               std::size_t most_late) {
        if (test::sanitized) {
            rows /= 3;
            linked /= 3;
        }
        for (const Metric metric : {Metric::l2_squared, Metric::inner_product, Metric::cosine}) {
            create(of.dimensions, 16, Codes::as_usual, metric);
            add(of_many_lengths(ClusteredData(1, of).make(rows)));
            link_first(linked);
            lose_some(linked);
            const auto queries = ClusteredData(2, of).make(3);
            for (std::size_t q = 0; q < 3; ++q) {
                const float *query = &queries[q * of.dimensions];
                Search search;
                const auto hits = search_with(search, query, search_params(20), 10000);
                expect_complete(hits, query, most_late);
                EXPECT_TRUE(search.statistics().exact);
                EXPECT_GT(search.statistics().rounds, 2u);
            }
            forget();
        }
    }

    void expect_exact_scan(const float *query) {
        const auto truth = exact(query, 0, state_.allocated.load());
        const auto hits = search(query, 40, truth.size() + 1);
        ASSERT_EQ(hits.size(), truth.size());
        for (std::size_t i = 0; i < truth.size(); ++i) {
            ASSERT_EQ(hits[i].id, truth[i].second) << "at " << i;
            ASSERT_EQ(hits[i].distance, truth[i].first);
        }
    }

    // Less data has fewer rows to be found.
    static constexpr double allowed = test::sanitized ? 0.03 : 0.01;

    double recall_of(Codes codes, Metric metric, Change change = nullptr,
                     const ClusteredShape &of = shape) {
        std::vector<float> data = ClusteredData(1, of).make(test::sanitized ? 300 : 1500);
        std::vector<float> queries = ClusteredData(2, of).make(test::sanitized ? 20 : 50);
        if (change != nullptr) {
            data = change(std::move(data));
            queries = change(std::move(queries));
        }
        create(static_cast<std::uint32_t>(of.dimensions), 16, codes, metric);
        EXPECT_EQ(params_.layout.code_bytes > 0, codes == Codes::as_usual);
        add(data);
        link_all();
        expect_sound_links();
        const double found = recall(queries, 40, 10);
        forget();
        return found;
    }
};

TEST_F(CodeSearchTest, TailIsExactWhateverTheMetricAndTheData) {
    for (const Metric metric : {Metric::l2_squared, Metric::inner_product, Metric::cosine})
        for (const Change change : {of_many_lengths, with_one_huge, tiny_and_far}) {
            create(dimensions, 16, Codes::as_usual, metric);
            std::vector<float> data = change(ClusteredData(1, shape).make(600));
            // Ties, which come in the order of ids.
            std::copy_n(data.begin(), 200 * dimensions, data.begin() + 300 * dimensions);
            add(data);
            for (NodeId id = 0; id < 600; id += 7)
                nodes_->mark_deleted(id);
            for (NodeId id = 5; id < 600; id += 31)
                nodes_->mark_hole(id);
            const auto queries = change(ClusteredData(2, shape).make(3));
            for (int q = 0; q < 3; ++q)
                expect_exact_scan(&queries[static_cast<std::size_t>(q) * dimensions]);
            expect_exact_scan(data.data());
            forget();
        }
}

TEST_F(CodeSearchTest, FewHitsOfALongTailNeedFewVectors) {
    create(dimensions);
    add(ClusteredData(1, shape).make(3000));
    Search search;
    search_with(search, ClusteredData(2, shape).make(1).data(), search_params(40), 10);
    EXPECT_GE(search.statistics().distances, 3000u) << "every code";
    EXPECT_LE(search.statistics().distances, 3100u);
}

TEST_F(CodeSearchTest, VectorsThatTheirCodesSayNothingOfAreMeasuredOnce) {
    const auto measured = [&](const std::vector<float> &data) {
        add(data);
        Search search;
        search_with(search, data.data(), search_params(40), 10);
        return search.statistics().distances;
    };
    create(dimensions);
    EXPECT_EQ(measured(tiny_and_far(ClusteredData(1, shape).make(500))), 1000u);
    forget();
    create(400, 16, Codes::as_usual, Metric::inner_product);
    // All but one lie between two steps, and make the code farther than a part of the length.
    std::vector<float> data(400 * 500);
    for (std::size_t i = 0; i < data.size(); ++i)
        data[i] = i % 400 == 0 ? 1.0f : 0.0019f;
    EXPECT_EQ(measured(data), 1000u);
}

TEST_F(CodeSearchTest, GraphAndTailComeMergedAndComplete) {
    expect_graph_and_tail(shape, 2500, 2000, 100);
}

TEST_F(CodeSearchTest, WhatAFirstLookDefersComesInItsPlaceAllTheSame) {
    expect_graph_and_tail(long_shape, 1500, 1300, 60);
}

TEST_F(CodeSearchTest, AFirstLookSparesMostDistancesAndNoRecall) {
    const auto data = ClusteredData(1, long_shape).make(2000);
    const auto queries = ClusteredData(2, long_shape).make(40);
    const auto distances = [&](Codes codes) {
        create(long_dimensions, 16, codes, Metric::cosine);
        add(data);
        link_all(1);
        EXPECT_GE(recall(queries, 40, 10), 0.99);
        std::uint64_t sum = 0;
        for (std::size_t q = 0; q < 40; ++q) {
            Search search;
            search_with(search, &queries[q * long_dimensions], search_params(40), 10);
            sum += search.statistics().distances;
        }
        forget();
        return sum;
    };
    EXPECT_LT(distances(Codes::as_usual), distances(Codes::none) * 3 / 4);
}

TEST_F(CodeSearchTest, AFirstLookMayMeanAnythingAndCostsNoRecall) {
    for (const Metric metric : {Metric::l2_squared, Metric::inner_product, Metric::cosine})
        for (const Change change :
             {often_empty_in_front, of_many_lengths, with_one_huge, tiny_and_far, narrow}) {
            const double with = recall_of(Codes::as_usual, metric, change, long_shape);
            const double without = recall_of(Codes::none, metric, change, long_shape);
            EXPECT_GE(with, without - allowed);
        }
}

// The rounds' results are cut where their estimates say: none may be lost there.
TEST_F(CodeSearchTest, RoundsAfterTheFirstMissNoMoreThanWithoutCodes) {
    const ClusteredShape spread{dimensions, 64, 16, 0.4f};
    const auto data = ClusteredData(1, spread).make(3000);
    const auto queries = ClusteredData(2, spread).make(20);
    const auto found = [&](Metric metric, Codes codes) {
        create(dimensions, 16, codes, metric);
        add(data);
        link_all();
        std::size_t near = 0;
        for (std::size_t q = 0; q < 20; ++q) {
            const float *query = &queries[q * dimensions];
            const auto truth = exact(query, 0, 3000);
            for (const Hit &hit : search(query, 20, 600))
                near += hit.distance <= truth[599].first;
        }
        forget();
        return static_cast<double>(near) / (20 * 600);
    };
    for (const Metric metric : {Metric::l2_squared, Metric::inner_product, Metric::cosine})
        EXPECT_GE(found(metric, Codes::as_usual), found(metric, Codes::none) - 0.002);
}

TEST_F(CodeSearchTest, RecallIsThatOfTheVectorsThemselves) {
    for (const Metric metric : {Metric::l2_squared, Metric::inner_product, Metric::cosine})
        for (const Change change : {Change(nullptr), Change(with_one_huge), Change(tiny_and_far),
                                    Change(narrow), Change(of_many_lengths)}) {
            const double with = recall_of(Codes::as_usual, metric, change);
            const double without = recall_of(Codes::none, metric, change);
            EXPECT_GE(with, without - allowed);
        }
}

int polls_left = 0;
bool stop_soon() { return polls_left-- == 0; }

TEST_F(CodeSearchTest, InterruptedAtAnyPollItGoesOnWithTheSameHits) {
    create(dimensions);
    add(ClusteredData(1, shape).make(6000));
    link_first(2200);
    for (NodeId id = 0; id < 5000; id += 9)
        nodes_->mark_deleted(id);
    const auto query = ClusteredData(2, shape).make(1);
    auto params = search_params(20);
    params.exact_after = 600;
    Search undisturbed;
    const auto expected = search_with(undisturbed, query.data(), params, 10000);
    params.interrupted = stop_soon;
    int interrupted_starts = 0;
    for (int poll = 0;; ++poll) {
        SCOPED_TRACE(poll);
        polls_left = poll;
        Search search;
        base::Status status = search.start(*nodes_, Watermarks::load(state_), query.data(), params);
        if (!status.ok()) {
            ASSERT_EQ(status.code(), Code::interrupted);
            ++interrupted_starts;
            ASSERT_TRUE(search.start(*nodes_, Watermarks::load(state_), query.data(), params).ok());
        }
        std::vector<Hit> hits;
        for (;;) {
            auto hit = search.next();
            if (!hit.ok()) {
                ASSERT_EQ(hit.status().code(), Code::interrupted);
                continue;
            }
            if (!hit.value())
                break;
            hits.push_back(*hit.value());
        }
        ASSERT_EQ(hits.size(), expected.size());
        for (std::size_t i = 0; i < hits.size(); ++i)
            ASSERT_EQ(hits[i].id, expected[i].id);
        if (polls_left >= 0) {
            EXPECT_GT(poll, interrupted_starts + 2) << "also within rounds and the completion";
            break;
        }
    }
    EXPECT_GT(interrupted_starts, 0);
}

TEST_F(CodeSearchTest, DeletedNodesTakeNoPlaceInTheBeam) {
    create(dimensions);
    expect_deleted_take_no_place(shape, 2500, 50);
    forget();
    create(long_dimensions);
    expect_deleted_take_no_place(long_shape, 1500, 50);
}

}  // namespace
}  // namespace dvec::graph
