// Turns of linking take about as long, whatever a node costs.
#include "engine/store/link_pace.hpp"

#include <gtest/gtest.h>

namespace dvec::test {
namespace {

using store::LinkPace;

constexpr std::uint32_t most = 2048;

// Of the last of some turns of full length, while a node takes so long.
std::int64_t time_of_turn(LinkPace &pace, std::int64_t node_microseconds) {
    std::int64_t time = 0;
    for (int i = 0; i < 10; ++i) {
        const std::uint32_t nodes = pace.nodes(most);
        time = nodes * node_microseconds;
        pace.note(nodes, time);
    }
    return time;
}

TEST(LinkPaceTest, TurnsTakeAsLongWhateverANodeTakes) {
    LinkPace pace;
    for (const std::int64_t node : {200, 1500, 100, 900}) {
        EXPECT_LE(time_of_turn(pace, node), LinkPace::turn) << node;
        EXPECT_GE(time_of_turn(pace, node), LinkPace::turn * 9 / 10) << node;
    }
}

TEST(LinkPaceTest, SlowNodesAreLinkedAFewAtATime) {
    LinkPace pace;
    (void)time_of_turn(pace, 50'000);
    EXPECT_EQ(pace.nodes(most), LinkPace::least);
}

TEST(LinkPaceTest, FastNodesAreNoMoreThanTheMost) {
    LinkPace pace;
    (void)time_of_turn(pace, 1);
    EXPECT_EQ(pace.nodes(most), most);
    EXPECT_EQ(pace.nodes(10), 10u);
}

TEST(LinkPaceTest, OneSlowTurnIsMadeUpForInOneTurn) {
    LinkPace pace;
    (void)time_of_turn(pace, 100);
    const std::uint32_t before = pace.nodes(most);
    EXPECT_EQ(before, 1000u);
    pace.note(before, 100 * LinkPace::turn);
    EXPECT_EQ(pace.nodes(most), LinkPace::least);
    // Turns of few nodes, as when rows come one by one, make the next one no shorter.
    pace.note(1, 100);
    EXPECT_GE(pace.nodes(most), LinkPace::least);
}

TEST(LinkPaceTest, TurnsOfFewNodesDoNotLowerWhatFits) {
    LinkPace pace;
    (void)time_of_turn(pace, 100);
    for (int i = 0; i < 100; ++i)
        pace.note(3, 300);
    EXPECT_EQ(pace.nodes(most), 1000u);
}

TEST(LinkPaceTest, ATimeOfNothingIsNoFailure) {
    LinkPace pace;
    pace.note(4'000'000'000, 0);
    pace.note(0, 0);
    EXPECT_EQ(pace.nodes(most), most);
}

}  // namespace
}  // namespace dvec::test
