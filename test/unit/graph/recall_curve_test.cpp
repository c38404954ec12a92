// The curve that a graph is measured by: what it says must hold for queries that it has not seen,
// and what is chosen by it must be what suffices.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/graph/recall_curve.hpp"
#include "engine/graph/recall_measure.hpp"
#include "test/unit/graph/graph_fixture.hpp"

namespace dvec::graph {

namespace {

// A curve as data might have it: a share of 1 / ef is missed, times the number of neighbours.
RecallCurve made_up(float error = 0) {
    RecallCurve curve;
    curve.rows = 100000;
    curve.queries = 512;
    for (std::size_t k = 0; k < curve_neighbours.size(); ++k)
        for (std::size_t ef = 0; ef < curve_efs.size(); ++ef)
            curve.points[k][ef] = {std::max(0.0f, 1 - static_cast<float>(curve_neighbours[k]) /
                                                          static_cast<float>(curve_efs[ef])),
                                   error};
    return curve;
}

TEST(RecallCurve, ChoosesBetweenTheEfsThatWereMeasured) {
    const RecallCurve curve = made_up();
    EXPECT_NEAR(curve.ef_for(0.9, 10), 100, 1);
    EXPECT_NEAR(curve.ef_for(0.95, 10), 200, 3);
    EXPECT_NEAR(curve.ef_for(0.99, 10), 1000, 20);
    EXPECT_EQ(curve.ef_for(0.5, 1), 10u) << "the least that was measured";
    // More neighbours, and a higher share, never need less.
    std::uint32_t before = 0;
    for (double k = 1; k < 20000; k *= 1.3) {
        const std::uint32_t ef = curve.ef_for(0.9, k);
        EXPECT_GE(ef, before) << k;
        EXPECT_GE(ef, std::min(k, 10000.0)) << k;
        EXPECT_LE(ef, 10000u);
        before = ef;
    }
    before = 0;
    for (double recall = 0.01; recall < 1; recall += 0.01) {
        const std::uint32_t ef = curve.ef_for(recall, 10);
        EXPECT_GE(ef, before) << recall;
        before = ef;
    }
    EXPECT_EQ(curve.ef_for(0.999, 100), 10000u) << "out of reach";
}

TEST(RecallCurve, AllowsForErrors) {
    EXPECT_GT(made_up(0.01f).ef_for(0.95, 10), made_up().ef_for(0.95, 10));
    EXPECT_LT(made_up(0.01f).ef_for(0.95, 10), made_up().ef_for(0.985, 10));
}

TEST(RecallCurve, AWiderSearchIsTakenForNoWorse) {
    RecallCurve curve = made_up();
    curve.points[1][6].recall = 0.2f;
    EXPECT_LE(curve.ef_for(0.89, 10), 100u);
    EXPECT_LE(curve.ef_for(0.93, 10), 250u);
}

TEST(RecallCurve, WhereNothingIsKnownIsCareful) {
    EXPECT_EQ(careful_ef(0.9, 10), 100u);
    EXPECT_EQ(careful_ef(0.95, 10), 200u);
    EXPECT_EQ(careful_ef(0.99, 10), 1000u);
    EXPECT_EQ(careful_ef(0.999, 10), 10000u);
    EXPECT_EQ(careful_ef(0.1, 1), 40u);
    EXPECT_EQ(careful_ef(0.5, 300), 600u);
    EXPECT_EQ(careful_ef(0.5, 1e9), 10000u);
}

TEST(RecallCurve, IsSharedAsItIs) {
    SharedRecallCurve shared{};
    EXPECT_FALSE(shared.load());
    RecallCurve curve = made_up(0.5f);
    curve.generation = 7;
    shared.store(curve);
    const auto loaded = shared.load();
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->generation, 7u);
    EXPECT_EQ(loaded->rows, curve.rows);
    EXPECT_EQ(loaded->queries, curve.queries);
    for (std::size_t k = 0; k < curve_neighbours.size(); ++k)
        for (std::size_t ef = 0; ef < curve_efs.size(); ++ef) {
            EXPECT_EQ(loaded->points[k][ef].recall, curve.points[k][ef].recall);
            EXPECT_EQ(loaded->points[k][ef].error, curve.points[k][ef].error);
        }
}

class RecallMeasureTest : public GraphTest {
  protected:
    RecallCurve measure() {
        RecallMeasure measure(*nodes_, state_, {kernel_, dimensions_, 3});
        while (!measure.done()) {
            const base::Status status = measure.step();
            EXPECT_TRUE(status.ok()) << status.message();
            if (!status.ok())
                break;
        }
        return measure.curve();
    }

    // Queries of the same kind, which are not in the graph, find what was asked for, but for what
    // some hundred of them cannot tell, and not for twice the width that suffices.
    void expect_targets_met(const std::vector<float> &queries) {
        const RecallCurve curve = measure();
        EXPECT_EQ(curve.rows, state_.linked.load());
        // Where there is most to be missed. To say too little costs time, to say too much recall;
        // and two threads link, so no two graphs are alike.
        for (const std::size_t ef : {std::size_t{0}, std::size_t{1}}) {
            const double found = recall(queries, curve_efs[ef], 10);
            EXPECT_LT(curve.points[1][ef].recall, found + 0.025) << curve_efs[ef];
            EXPECT_GT(curve.points[1][ef].recall, found - 0.05) << curve_efs[ef];
        }
        for (const double target : {0.9, 0.95, 0.99}) {
            const std::uint32_t ef = curve.ef_for(target, 10);
            EXPECT_GE(recall(queries, ef, 10), target - 0.01) << target << " with ef " << ef;
            if (ef > 20) {
                EXPECT_LT(recall(queries, ef / 2, 10), target + 0.01) << target << ", ef " << ef;
            }
        }
    }

    std::vector<float> uniform(std::size_t count, std::uint64_t seed) const {
        std::mt19937_64 random(seed);
        std::uniform_real_distribution<float> number;
        std::vector<float> vectors(count * dimensions_);
        for (float &x : vectors)
            x = number(random);
        return vectors;
    }
};

TEST_F(RecallMeasureTest, HoldsForQueriesFromOutsideInClusters) {
    const ClusteredShape shape{.dimensions = 32, .clusters = 50};
    create(32, 8);
    add(ClusteredData(1, shape).make(4000));
    link_all();
    expect_targets_met(ClusteredData(2, shape).make(400));
}

TEST_F(RecallMeasureTest, HoldsForQueriesFromOutsideInACube) {
    create(16, 8);
    add(uniform(4000, 1));
    link_all();
    expect_targets_met(uniform(400, 2));
}

TEST_F(RecallMeasureTest, HoldsByCosineAndByInnerProduct) {
    for (const auto metric : {distance::Metric::cosine, distance::Metric::inner_product}) {
        create(16, 8, Codes::as_usual, metric);
        add(uniform(2500, 3));
        link_all();
        expect_targets_met(uniform(400, 4));
        forget();
    }
}

// Copies of a row are no neighbours that have to be looked for.
TEST_F(RecallMeasureTest, OfRepeatedRows) {
    create(16, 8);
    const auto vectors = uniform(300, 5);
    for (int times = 0; times < 10; ++times)
        add(vectors);
    link_all();
    const RecallCurve curve = measure();
    EXPECT_LE(curve.queries, 300u);
    const auto queries = uniform(100, 6);
    EXPECT_GE(recall(queries, curve.ef_for(0.95, 10), 10), 0.94);
}

TEST_F(RecallMeasureTest, OfRowsThatAreAllEqual) {
    create(4, 4);
    add(std::vector<float>(4000 * 4, 0.5f));
    link_all();
    EXPECT_EQ(measure().ef_for(0.99, 10), 10u);
}

TEST_F(RecallMeasureTest, OfFewRowsAndOfNone) {
    create(8, 4);
    EXPECT_EQ(measure().ef_for(0.99, 10), 10u);
    add(uniform(100, 7));
    EXPECT_EQ(measure().rows, 0u) << "none is linked";
    link_all();
    EXPECT_EQ(measure().rows, 100u);
    EXPECT_EQ(measure().ef_for(0.99, 10), 10u) << "a search measures all of them";
}

// The tail is found by every search, so it says nothing of the graph.
TEST_F(RecallMeasureTest, LeavesTheTailAndWhatIsGoneAside) {
    create(8, 4);
    add(uniform(3000, 8));
    link_first(2000);
    for (NodeId id = 0; id < 2000; id += 2)
        nodes_->mark_deleted(id);
    const RecallCurve curve = measure();
    EXPECT_EQ(curve.rows, 1000u);
    EXPECT_GT(curve.points[1][5].recall, 0.8f);
}

// What a measurement finds follows from the graph alone, and from nothing else that goes on.
TEST_F(RecallMeasureTest, IsTheSameTwice) {
    create(16, 4);
    add(uniform(3000, 9));
    link_all(1);
    const RecallCurve one = measure();
    const RecallCurve other = measure();
    for (std::size_t k = 0; k < curve_neighbours.size(); ++k)
        for (std::size_t ef = 0; ef < curve_efs.size(); ++ef)
            EXPECT_EQ(one.points[k][ef].recall, other.points[k][ef].recall);
    EXPECT_EQ(one.generation, 3u);
}

// A row that asks for its own neighbours has their links at hand.
TEST_F(RecallMeasureTest, GoesPastTheRowThatAsks) {
    create(16, 4);
    add(uniform(3000, 10));
    link_all();
    NodeId asking = 100;
    while (node_level(asking, 4) > 0)
        ++asking;
    std::vector<float> query(16);
    std::memcpy(query.data(), nodes_->vector(asking), nodes_->layout().vector_bytes);
    auto params = search_params(40);
    params.rest = Search::Params::Rest::left_out;
    params.without = asking;
    Search search;
    const auto hits = search_with(search, query.data(), params, 40);
    EXPECT_EQ(hits.size(), 40u);
    for (const Hit &hit : hits)
        EXPECT_NE(hit.id, asking);
}

}  // namespace

}  // namespace dvec::graph
