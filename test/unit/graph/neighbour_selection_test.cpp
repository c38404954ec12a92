// The choice among the members of a list, with nodes on a line: distances are plain to see.
#include "engine/graph/neighbour_selection.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

namespace dvec::graph {
namespace {

class NeighbourSelectionTest : public ::testing::Test {
  protected:
    // Node `id` stands at position `id`; the list belongs to the node at 100.
    static float between(NodeId a, NodeId b) {
        return std::abs(static_cast<float>(a) - static_cast<float>(b));
    }
    static float no_advantage(NodeId) { return 0; }
    void begin(std::size_t limit, const std::vector<NodeId> &ids,
               const std::set<NodeId> &settled = {}) {
        selection_.begin(limit);
        for (const NodeId id : ids)
            selection_.add({between(100, id), id, settled.count(id) > 0});
    }
    std::vector<NodeId> kept() const {
        std::vector<NodeId> ids;
        for (const auto &member : selection_.kept())
            ids.push_back(member.id);
        return ids;
    }
    using Ids = std::vector<NodeId>;

    NeighbourSelection selection_;
};

TEST_F(NeighbourSelectionTest, KeepsOneNodePerDirection) {
    begin(4, {90, 80, 70, 101, 120, 150});
    selection_.keep_diverse(between, no_advantage);
    EXPECT_EQ(kept(), (Ids{101, 90}));
}

TEST_F(NeighbourSelectionTest, SettledMembersAreComparedOnlyWithNewOnes) {
    begin(6, {90, 80, 70, 99, 120}, {80, 90, 120});
    std::size_t comparisons = 0;
    selection_.keep_diverse(
        [&](NodeId a, NodeId b) {
            ++comparisons;
            return between(a, b);
        },
        no_advantage);
    // 99 is new and nearer to 90 and 80 than 100 is; 120 stands on the other side.
    EXPECT_EQ(kept(), (Ids{99, 120}));
    begin(6, {90, 80, 120}, {80, 90, 120});
    comparisons = 0;
    selection_.keep_diverse([&](NodeId, NodeId) { return ++comparisons, 0.0f; }, no_advantage);
    EXPECT_EQ(kept(), (Ids{90, 80, 120}));
    EXPECT_EQ(comparisons, 0u);
}

TEST_F(NeighbourSelectionTest, NeverKeepsMoreThanTheLimit) {
    begin(2, {90, 80, 120}, {80, 90, 120});
    selection_.keep_diverse(between, no_advantage);
    EXPECT_EQ(kept(), (Ids{90, 80}));
}

TEST_F(NeighbourSelectionTest, AnAdvantageIsNotHeldAgainstOthers) {
    const auto of_101 = [](NodeId id) { return id == 101 ? 25.0f : 0.0f; };
    begin(6, {90, 80, 101, 120, 130});
    selection_.keep_diverse(between, of_101);
    // 120 is 20 from the node and 19 from 101, which is allowed 25; 130 is crowded by 120.
    EXPECT_EQ(kept(), (Ids{101, 90, 120}));
}

TEST_F(NeighbourSelectionTest, AnAdvantageIsAskedOnlyWhenItDecides) {
    begin(6, {90, 80, 120});
    std::vector<NodeId> asked;
    selection_.keep_diverse(between, [&](NodeId id) { return asked.push_back(id), 0.0f; });
    EXPECT_EQ(kept(), (Ids{90, 120}));
    EXPECT_EQ(asked, (Ids{90}));
}

TEST_F(NeighbourSelectionTest, TheNearestOfTheOthersFillUp) {
    begin(5, {90, 80, 70, 101, 120, 150, 160});
    selection_.keep_diverse(between, no_advantage);
    ASSERT_EQ(kept(), (Ids{101, 90}));
    selection_.fill_up(5);
    EXPECT_EQ(kept(), (Ids{101, 90, 80, 120, 70}));
    EXPECT_EQ(selection_.diverse(), 2u);

    // None is given up for it, where the limit allows more.
    begin(5, {90, 80, 70, 101, 120, 150, 160});
    selection_.keep_diverse(between, no_advantage);
    selection_.fill_up(1);
    EXPECT_EQ(kept(), (Ids{101, 90}));
    selection_.fill_up(3);
    EXPECT_EQ(kept(), (Ids{101, 90, 80}));

    begin(9, {90, 80, 101});
    selection_.keep_diverse(between, no_advantage);
    selection_.fill_up(9);
    EXPECT_EQ(kept(), (Ids{101, 90, 80}));

    begin(4, {});
    selection_.keep_diverse(between, no_advantage);
    selection_.fill_up(4);
    EXPECT_TRUE(kept().empty());
    EXPECT_EQ(selection_.diverse(), 0u);
}

TEST_F(NeighbourSelectionTest, StoringKeepsPlacesAndForgetsNobody) {
    std::mt19937 random(1);
    for (int trial = 0; trial < 500; ++trial) {
        constexpr std::size_t limit = 12;
        std::atomic<std::uint32_t> words[limit + 2];
        words[0] = limit;
        std::vector<NodeId> before;
        for (std::size_t i = 1; i <= limit; ++i) {
            before.push_back(static_cast<NodeId>(10 * i + random() % 10));
            words[i] = before.back();
        }
        words[limit + 1] = 7777;
        auto ids = before;
        ids.push_back(150);
        std::shuffle(ids.begin(), ids.end(), random);
        ids.resize(1 + random() % limit);
        begin(limit, ids, {ids.begin(), ids.end()});
        selection_.keep_diverse(between, no_advantage);
        const std::uint32_t count = selection_.store(words);
        ASSERT_EQ(count, ids.size());
        ASSERT_EQ(words[0].load(), count);
        std::set<NodeId> stored;
        std::size_t moved = 0;
        for (std::size_t i = 1; i <= count; ++i) {
            stored.insert(words[i].load());
            moved += words[i].load() != before[i - 1];
        }
        EXPECT_EQ(stored, std::set<NodeId>(ids.begin(), ids.end()));
        EXPECT_LE(moved, limit - count + 2);
        EXPECT_EQ(words[limit + 1].load(), 7777u);
    }
}

}  // namespace
}  // namespace dvec::graph
