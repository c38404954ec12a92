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
    using Member = NeighbourSelection::Member;
    using Crowding = NeighbourSelection::Crowding;
    using Before = NeighbourSelection::Before;

    // Node `id` stands at position `id`; the list belongs to the node at 100.
    static float between(NodeId a, NodeId b) {
        return std::abs(static_cast<float>(a) - static_cast<float>(b));
    }
    // With a slack of 1.25.
    static Crowding crowds(float near, NodeId, const Member &member) {
        if (near >= member.distance)
            return Crowding::none;
        return near * 1.25f < member.distance ? Crowding::full : Crowding::slight;
    }
    void begin(std::size_t limit, const std::vector<NodeId> &ids,
               const std::set<NodeId> &diverse = {}, const std::set<NodeId> &slight = {}) {
        selection_.begin(limit);
        for (const NodeId id : ids)
            selection_.add({between(100, id), id,
                            diverse.contains(id)  ? Before::diverse
                            : slight.contains(id) ? Before::slightly_crowded
                                                  : Before::nothing});
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
    selection_.keep_diverse(between, crowds);
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
        crowds);
    // 99 is new and nearer to 90 and 80 than 100 is; 120 stands on the other side.
    EXPECT_EQ(kept(), (Ids{99, 120}));
    begin(6, {90, 80, 120}, {80, 90, 120});
    comparisons = 0;
    selection_.keep_diverse([&](NodeId, NodeId) { return ++comparisons, 0.0f; }, crowds);
    EXPECT_EQ(kept(), (Ids{90, 80, 120}));
    EXPECT_EQ(comparisons, 0u);
}

TEST_F(NeighbourSelectionTest, NeverKeepsMoreThanTheLimit) {
    begin(2, {90, 80, 120}, {80, 90, 120});
    selection_.keep_diverse(between, crowds);
    EXPECT_EQ(kept(), (Ids{90, 80}));
}

TEST_F(NeighbourSelectionTest, SlightlyCrowdedOnesComeAfterAllDiverseOnes) {
    begin(6, {101, 105, 103, 60, 130});
    selection_.keep_diverse(between, crowds);
    EXPECT_EQ(kept(), (Ids{101, 60}));
    EXPECT_EQ(selection_.diverse(), 2u);
    // 101 crowds 103 fully (2 * 1.25 < 3), 105 and 130 slightly; 105 crowds 130 slightly.
    selection_.keep_slightly_crowded(6, between, crowds);
    EXPECT_EQ(kept(), (Ids{101, 60, 105, 130}));
    EXPECT_EQ(selection_.diverse(), 2u);
    selection_.fill_up(6);
    EXPECT_EQ(kept(), (Ids{101, 60, 105, 130, 103}));
}

TEST_F(NeighbourSelectionTest, WhatIsKnownOfSlightlyCrowdedOnesIsNotAskedAgain) {
    std::vector<std::pair<NodeId, NodeId>> compared;
    const auto counted = [&](NodeId a, NodeId b) {
        compared.emplace_back(a, b);
        return between(a, b);
    };
    begin(6, {101, 105, 103, 60, 130}, {101, 60}, {105, 130});
    selection_.keep_diverse(counted, crowds);
    selection_.keep_slightly_crowded(6, counted, crowds);
    EXPECT_EQ(kept(), (Ids{101, 60, 105, 130}));
    EXPECT_EQ(selection_.diverse(), 2u);
    EXPECT_EQ(selection_.slightly_crowded(), 2u);
    EXPECT_EQ(compared, (std::vector<std::pair<NodeId, NodeId>>{{101, 103}}));

    // A new one may crowd it fully, whether that becomes a diverse one or not.
    begin(6, {101, 105, 104, 60}, {101, 60}, {105});
    selection_.keep_diverse(between, [](float near, NodeId, const Member &member) {
        return member.id == 104 ? Crowding::none : crowds(near, 0, member);
    });
    selection_.keep_slightly_crowded(6, between, crowds);
    EXPECT_EQ(kept(), (Ids{101, 104, 60}));
}

TEST_F(NeighbourSelectionTest, OfTheSlightlyCrowdedNoneCrowdsAnother) {
    begin(6, {150, 190, 200});
    // 190 and 200 are 40 and 50 from 150, and 10 from each other.
    const auto slightly = [](float near, NodeId kept, const Member &member) {
        return kept == 150 ? Crowding::slight : crowds(near, kept, member);
    };
    selection_.keep_diverse(between, slightly);
    EXPECT_EQ(kept(), (Ids{150}));
    selection_.keep_slightly_crowded(6, between, slightly);
    EXPECT_EQ(kept(), (Ids{150, 190}));
}

TEST_F(NeighbourSelectionTest, SlightlyCrowdedOnesFillNoMoreThanAsked) {
    begin(6, {101, 110, 120, 140, 60});
    const auto slightly = [](float, NodeId kept, const Member &member) {
        return kept == 101 && member.id > 101 ? Crowding::slight : Crowding::none;
    };
    selection_.keep_diverse(between, slightly);
    ASSERT_EQ(kept(), (Ids{101, 60}));
    selection_.keep_slightly_crowded(2, between, slightly);
    EXPECT_EQ(kept(), (Ids{101, 60}));
    selection_.keep_slightly_crowded(4, between, slightly);
    EXPECT_EQ(kept(), (Ids{101, 60, 110, 120}));
    EXPECT_EQ(selection_.diverse(), 2u);
}

TEST_F(NeighbourSelectionTest, TheNearestOfTheOthersFillUp) {
    begin(5, {90, 80, 70, 101, 120, 150, 160});
    selection_.keep_diverse(between, crowds);
    ASSERT_EQ(kept(), (Ids{101, 90}));
    selection_.fill_up(5);
    EXPECT_EQ(kept(), (Ids{101, 90, 80, 120, 70}));
    EXPECT_EQ(selection_.diverse(), 2u);

    // None is given up for it, where the limit allows more.
    begin(5, {90, 80, 70, 101, 120, 150, 160});
    selection_.keep_diverse(between, crowds);
    selection_.fill_up(1);
    EXPECT_EQ(kept(), (Ids{101, 90}));
    selection_.fill_up(3);
    EXPECT_EQ(kept(), (Ids{101, 90, 80}));

    begin(9, {90, 80, 101});
    selection_.keep_diverse(between, crowds);
    selection_.fill_up(9);
    EXPECT_EQ(kept(), (Ids{101, 90, 80}));

    begin(4, {});
    selection_.keep_diverse(between, crowds);
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
        // The first are diverse, the others slightly crowded.
        const std::size_t diverse = 1 + random() % ids.size();
        const std::set<NodeId> first(ids.begin(),
                                     ids.begin() + static_cast<std::ptrdiff_t>(diverse));
        const auto by_part = [&](float, NodeId kept, const Member &member) {
            return first.count(kept) > 0 && first.count(member.id) == 0 ? Crowding::slight
                                                                        : Crowding::none;
        };
        begin(limit, ids, first);
        selection_.keep_diverse(between, by_part);
        selection_.keep_slightly_crowded(limit, between, by_part);
        ASSERT_EQ(selection_.kept().size(), ids.size());
        const std::vector<NodeId> kept_ids = kept();
        const std::size_t kept_diverse = selection_.diverse();
        selection_.store(words);
        const std::uint32_t count = words[0].load();
        ASSERT_EQ(count, ids.size());
        const auto part = [&](std::size_t begin, std::size_t end) {
            return std::set<NodeId>(kept_ids.begin() + static_cast<std::ptrdiff_t>(begin),
                                    kept_ids.begin() + static_cast<std::ptrdiff_t>(end));
        };
        std::set<NodeId> stored_first;
        std::set<NodeId> stored_then;
        for (std::size_t i = 0; i < count; ++i) {
            (i < kept_diverse ? stored_first : stored_then).insert(words[i + 1].load());
            const bool could_stay =
                part(i < kept_diverse ? 0 : kept_diverse, i < kept_diverse ? kept_diverse : count)
                    .count(before[i]) > 0;
            EXPECT_EQ(words[i + 1].load() == before[i], could_stay);
        }
        EXPECT_EQ(stored_first, part(0, kept_diverse));
        EXPECT_EQ(stored_then, part(kept_diverse, count));
        EXPECT_EQ(words[limit + 1].load(), 7777u);
    }
}

}  // namespace
}  // namespace dvec::graph
