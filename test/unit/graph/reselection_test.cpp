// The choice among the members of a full list, with nodes on a line: distances are plain to see.
#include "engine/graph/reselection.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

namespace dvec::graph {
namespace {

class ReselectionTest : public ::testing::Test {
  protected:
    // Node `id` stands at position `id`; the list belongs to the node at 100.
    static float between(NodeId a, NodeId b) {
        return std::abs(static_cast<float>(a) - static_cast<float>(b));
    }
    void begin(std::size_t limit, const std::vector<NodeId> &ids,
               const std::set<NodeId> &settled = {}) {
        reselection_.begin(limit);
        for (const NodeId id : ids)
            reselection_.add({between(100, id), id, settled.count(id) > 0});
    }
    std::vector<NodeId> kept() const {
        std::vector<NodeId> ids;
        for (const auto &member : reselection_.kept())
            ids.push_back(member.id);
        return ids;
    }
    using Ids = std::vector<NodeId>;

    Reselection reselection_;
};

TEST_F(ReselectionTest, KeepsOneNodePerDirection) {
    begin(4, {90, 80, 70, 101, 120, 150});
    reselection_.keep_diverse(between);
    EXPECT_EQ(kept(), (Ids{101, 90}));
}

TEST_F(ReselectionTest, SettledMembersAreComparedOnlyWithNewOnes) {
    begin(6, {90, 80, 70, 99, 120}, {80, 90, 120});
    std::size_t comparisons = 0;
    reselection_.keep_diverse([&](NodeId a, NodeId b) {
        ++comparisons;
        return between(a, b);
    });
    // 99 is new and nearer to 90 and 80 than 100 is; 120 stands on the other side.
    EXPECT_EQ(kept(), (Ids{99, 120}));
    begin(6, {90, 80, 120}, {80, 90, 120});
    comparisons = 0;
    reselection_.keep_diverse([&](NodeId, NodeId) { return ++comparisons, 0.0f; });
    EXPECT_EQ(kept(), (Ids{90, 80, 120}));
    EXPECT_EQ(comparisons, 0u);
}

TEST_F(ReselectionTest, NeverKeepsMoreThanTheLimit) {
    begin(2, {90, 80, 120}, {80, 90, 120});
    reselection_.keep_diverse(between);
    EXPECT_EQ(kept(), (Ids{90, 80}));
}

TEST_F(ReselectionTest, LastLinksAreSpared) {
    InboundCounts inbound;
    inbound.resize(200);
    for (const NodeId id : {90u, 101u})
        inbound.assume_many(id);
    inbound.add(70);
    inbound.add(80);
    inbound.add(80);
    begin(2, {90, 80, 70, 101});
    reselection_.keep_diverse(between);
    ASSERT_EQ(kept(), (Ids{101, 90}));
    reselection_.spare_orphans(inbound);
    EXPECT_EQ(kept(), (Ids{101, 70})) << "80 has another link, 90 many";
    EXPECT_FALSE(inbound.release(80)) << "one of its two was given up";

    begin(3, {90, 80, 70, 101});
    reselection_.keep_diverse(between);
    reselection_.spare_orphans(inbound);
    EXPECT_EQ(kept(), (Ids{101, 70, 80}))
        << "both are last links now, and one takes the place of 90";
}

TEST_F(ReselectionTest, StoringKeepsPlacesAndForgetsNobody) {
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
        reselection_.keep_diverse(between);
        const std::uint32_t count = reselection_.store(words);
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
