// The order of what a refinement gives, and what it measures for it, against a sorted list.
#include "engine/graph/refinement.hpp"

#include <random>

#include "test/unit/graph/graph_fixture.hpp"

namespace dvec::graph {
namespace {

constexpr std::uint32_t dimensions = 4;
constexpr NodeId count = 400;

class RefinementTest : public GraphTest {
  protected:
    // Nodes of which many are equally far from the query, the origin.
    void SetUp() override {
        create(dimensions);
        std::vector<float> vectors(count * dimensions);
        for (float &x : vectors)
            x = static_cast<float>(random_() % 5);
        add(vectors);
        context_.nodes = nodes_.get();
        context_.kernel = kernel_;
        context_.dimensions = dimensions;
        context_.query = reinterpret_cast<const std::byte *>(query_);
        for (NodeId id = 0; id < count; ++id)
            whole_.push_back(context_.measure_whole(id));
        context_.statistics = {};
    }

    // A bound of any quality, or the distance itself.
    Ranked any_bound(NodeId id) {
        const double distance = whole_[id].distance();
        switch (random_() % 4) {
            case 0:
                return whole_[id];
            case 1:
                return {distance, id, Ranked::Kind::bound};
            case 2:
                return {0, id, Ranked::Kind::bound};
            default:
                return {distance * static_cast<double>(random_() % 100) / 100, id,
                        Ranked::Kind::bound};
        }
    }

    std::mt19937 random_{4};
    alignas(cache_line) const float query_[dimensions] = {};
    SearchContext context_;
    std::vector<Ranked> whole_;  // by id
};

TEST_F(RefinementTest, NodesComeOnceInTheOrderOfTheirDistances) {
    Refinement refinement;
    for (int trial = 0; trial < 20; ++trial) {
        refinement.reset(100);
        for (NodeId id = 0; id < count; ++id)
            refinement.add(any_bound(id));
        auto expected = whole_;
        std::sort(expected.begin(), expected.end());
        for (const Ranked node : expected) {
            ASSERT_FALSE(refinement.empty());
            ASSERT_TRUE(refinement.nearest(context_) == node);
            ASSERT_TRUE(refinement.nearest(context_) == node) << "asked again";
            refinement.take();
        }
        ASSERT_TRUE(refinement.empty());
    }
}

// Exactly those are measured whose bound is less than the farthest distance that was asked for.
TEST_F(RefinementTest, WhatMayBeFartherIsNotMeasured) {
    Refinement refinement;
    for (const std::size_t wanted : {1, 2, 10, 100, 399, 400}) {
        SCOPED_TRACE(wanted);
        refinement.reset(100);
        std::vector<Ranked> bounds;
        for (NodeId id = 0; id < count; ++id) {
            bounds.push_back(any_bound(id));
            refinement.add(bounds.back());
        }
        context_.statistics = {};
        Ranked farthest;
        for (std::size_t i = 0; i < wanted; ++i) {
            farthest = refinement.nearest(context_);
            refinement.take();
        }
        const auto needed = std::count_if(bounds.begin(), bounds.end(), [&](Ranked bound) {
            return bound.is_bound() && bound <= farthest;
        });
        EXPECT_EQ(context_.statistics.distances, static_cast<std::uint64_t>(needed));
    }
}

TEST_F(RefinementTest, NodesMayBeAddedBetween) {
    Refinement refinement;
    refinement.reset(100);
    std::set<Ranked> expected;
    for (NodeId id = 0; id < count; ++id) {
        refinement.add(any_bound(id));
        expected.insert(whole_[id]);
        if (random_() % 3 == 0) {
            ASSERT_TRUE(refinement.nearest(context_) == *expected.begin());
            expected.erase(expected.begin());
            refinement.take();
        }
    }
    EXPECT_GE(refinement.memory_bytes(), expected.size() * sizeof(Ranked));
    refinement.reset(0);
    EXPECT_TRUE(refinement.empty());
    EXPECT_EQ(refinement.memory_bytes(), 0u);
}

}  // namespace
}  // namespace dvec::graph
