// A sketch hardly ever says that a row is farther than it is, and tells the nearest rows from most
// others, whatever the metric and the number of dimensions are.
#include "engine/graph/sketches.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "test/unit/graph/graph_fixture.hpp"

namespace dvec::graph {
namespace {

using distance::Metric;

constexpr std::size_t enough_bytes = std::size_t{1} << 24;

class SketchesTest : public GraphTest {
  protected:
    void make(std::uint32_t dimensions, Metric metric, const std::vector<float> &data) {
        create(dimensions, 8, Codes::as_usual, metric);
        add(data);
    }
    void make_all(Sketches &sketches) {
        const NodeId rows = state_.allocated.load();
        ASSERT_TRUE(sketches.prepare(*nodes_, rows, kernel_, dimensions_, enough_bytes));
        for (NodeId id = 0; id < rows; ++id) {
            EXPECT_FALSE(sketches.has(id));
            sketches.make(*nodes_, id);
        }
    }
    float distance(const float *query, NodeId id) const {
        return kernel_.distance(query, nodes_->vector(id), dimensions_);
    }
};

TEST_F(SketchesTest, BoundsHoldAndTellTheNearestFromMostOthers) {
    for (const Metric metric : {Metric::l2_squared, Metric::inner_product, Metric::cosine})
        for (const std::uint32_t dimensions : {96u, 100u, 128u, 200u, 768u}) {
            SCOPED_TRACE(testing::Message() << dimensions << ", " << static_cast<int>(metric));
            const ClusteredShape shape{dimensions, 20, 12, 0.1f};
            const std::size_t rows = 2000;
            // Far from zero, as real vectors are.
            auto data = ClusteredData(1, shape).make(rows);
            auto queries = ClusteredData(2, shape).make(5);
            for (auto *vectors : {&data, &queries})
                for (float &x : *vectors)
                    x += 0.5f;
            make(dimensions, metric, data);
            Sketches sketches;
            make_all(sketches);
            std::size_t above = 0, let_through = 0;
            for (std::size_t q = 0; q < 5; ++q) {
                const float *query = &queries[q * dimensions];
                Sketches::Query asked;
                asked.reset(sketches, query);
                std::vector<float> distances;
                for (NodeId id = 0; id < rows; ++id)
                    distances.push_back(distance(query, id));
                auto ordered = distances;
                std::nth_element(ordered.begin(), ordered.begin() + 9, ordered.end());
                for (NodeId id = 0; id < rows; ++id) {
                    ASSERT_TRUE(sketches.has(id));
                    const float bound = asked.likely_bound(sketches, id);
                    above += bound > distances[id] ? 1 : 0;
                    let_through += bound <= ordered[9] ? 1 : 0;
                }
            }
            EXPECT_LE(above, 5 * rows / 20);
            EXPECT_LE(let_through, 5 * rows / 3);
            forget();
        }
}

TEST_F(SketchesTest, WhatCannotBeMeasuredHasNone) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    const float kinds[] = {0, 1, 1e30f, infinity, std::nanf("")};
    for (const Metric metric : {Metric::l2_squared, Metric::inner_product, Metric::cosine})
        for (const std::uint32_t dimensions : {96u, 128u}) {
            SCOPED_TRACE(testing::Message() << dimensions << ", " << static_cast<int>(metric));
            std::vector<float> data = ClusteredData(1, {dimensions, 4, 4, 0.1f}).make(50);
            for (std::size_t kind = 0; kind < 5; ++kind)
                data.insert(data.end(), dimensions, kinds[kind]);
            make(dimensions, metric, data);
            Sketches sketches;
            make_all(sketches);
            for (std::size_t kind = 0; kind < 5; ++kind)
                EXPECT_EQ(sketches.has(static_cast<NodeId>(50 + kind)),
                          kind == 1 || (kind == 0 && metric != Metric::cosine))
                    << kinds[kind];
            // Nor does it say anything of a query.
            for (const float kind : kinds) {
                const std::vector<float> query(dimensions, kind);
                Sketches::Query asked;
                asked.reset(sketches, query.data());
                const float bound = asked.likely_bound(sketches, 0);
                EXPECT_EQ(std::isnan(bound),
                          !(kind == 1 || (kind == 0 && metric != Metric::cosine)))
                    << kind;
            }
            forget();
        }
}

TEST_F(SketchesTest, RowsThatAreAllAlikeAreAtTheirDistance) {
    const std::vector<float> row = ClusteredData(1, {128, 4, 4, 0.1f}).make(1);
    std::vector<float> data;
    for (int i = 0; i < 100; ++i)
        data.insert(data.end(), row.begin(), row.end());
    make(128, Metric::l2_squared, data);
    Sketches sketches;
    make_all(sketches);
    const auto query = ClusteredData(2, {128, 4, 4, 0.1f}).make(1);
    Sketches::Query asked;
    asked.reset(sketches, query.data());
    for (NodeId id = 0; id < 100; ++id)
        EXPECT_LE(asked.likely_bound(sketches, id), distance(query.data(), id) * 1.001f);
}

TEST_F(SketchesTest, OnlyWhereProductsOfFloatsAreSummed) {
    make(128, Metric::l1, ClusteredData(1, {128, 4, 4, 0.1f}).make(10));
    Sketches sketches;
    EXPECT_FALSE(sketches.prepare(*nodes_, 10, kernel_, 128, enough_bytes));
}

TEST_F(SketchesTest, KeepToTheirMemory) {
    make(128, Metric::l2_squared, ClusteredData(1, {128, 4, 4, 0.1f}).make(9000));
    Sketches none;
    EXPECT_FALSE(none.prepare(*nodes_, 9000, kernel_, 128, 0));
    // Of two objects together: rows of 24 bytes, 4,096 at a time, in seven eighths of the memory.
    const auto memory_for = [](std::size_t times) { return (times * 4096 * 24 + 100) * 8 / 7; };
    const std::size_t most = memory_for(2), more = memory_for(3);
    const auto count = [](const Sketches &sketches) {
        NodeId with = 0;
        for (NodeId id = 0; id < 9000; ++id)
            with += sketches.has(id) ? 1 : 0;
        return with;
    };
    Sketches first;
    ASSERT_TRUE(first.prepare(*nodes_, 9000, kernel_, 128, most));
    for (NodeId id = 0; id < 9000; ++id)
        first.make(*nodes_, id);
    EXPECT_EQ(count(first), 2 * 4096u);
    {
        Sketches second;
        ASSERT_TRUE(second.prepare(*nodes_, 9000, kernel_, 128, more));
        for (NodeId id = 0; id < 9000; ++id)
            second.make(*nodes_, id);
        EXPECT_EQ(count(second), 4096u);
    }
    Sketches third;
    ASSERT_TRUE(third.prepare(*nodes_, 9000, kernel_, 128, more));
    third.make(*nodes_, 8999);
    EXPECT_TRUE(third.has(8999));
}

TEST_F(SketchesTest, AreGivenUpWhereTheyTellNothing) {
    make(128, Metric::l2_squared, ClusteredData(1, {128, 4, 4, 0.1f}).make(10));
    Sketches sketches;
    const auto prepared = [&] { return sketches.prepare(*nodes_, 10, kernel_, 128, enough_bytes); };
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(prepared());
        sketches.note(i % 10 != 0);
    }
    for (int i = 0; i < 10; ++i)
        sketches.note(false);
    EXPECT_FALSE(prepared());
}

TEST_F(SketchesTest, AreWorthMakingWhenTheyWouldHaveSavedAsMuch) {
    Sketches sketches;
    sketches.would_have_saved(6);
    sketches.would_have_saved(-100);
    EXPECT_FALSE(sketches.worth_making(10));
    sketches.would_have_saved(5);
    EXPECT_TRUE(sketches.worth_making(10));
    sketches.pay(10);
    EXPECT_FALSE(sketches.worth_making(10));
    EXPECT_TRUE(sketches.worth_making(1));
}

}  // namespace
}  // namespace dvec::graph
