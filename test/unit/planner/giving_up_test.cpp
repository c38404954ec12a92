// Searches that an adversary has drawn, round by round and row by row: when they give up, they have
// cost half of the exact search at most.
#include "postgres/planner/giving_up.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace dvec::postgres {
namespace {

struct Drawn {
    double first_round = 0;       // what it costs
    std::uint64_t width = 0;      // rows that it finds
    double per_row = 0;           // handed out
    double wanted = -1;           // by the LIMIT
    double passing_in_front = 0;  // so many rows pass,
    std::uint64_t one_of = 0;     // and one of so many of the others; 0: none
};

constexpr double exact = 100000;

// The rounds are those of graph_stream.cpp: each may measure twice as much as the one before, and
// is not begun where that may be too much. 0: the search has found what is wanted.
double cost_in_vain(const Drawn &drawn) {
    WorkSoFar work;
    work.exact = exact;
    work.wanted = drawn.wanted;
    work.done = drawn.first_round;
    double round = drawn.first_round;
    std::uint64_t found = drawn.width, at_hand = found;
    for (;;) {
        const double most = work.share_to_walk() * exact;
        if (at_hand == 0) {
            if (work.done + 2 * round > most)
                return work.done;
            round *= 2;
            found *= 2;
            at_hand = found;
            work.done += round;
            work.in_first_round = false;
            continue;
        }
        if (work.done >= most && !work.takes_row_at_hand())
            return work.done;
        --at_hand;
        ++work.rows;
        work.done += drawn.per_row;
        work.of_rows += drawn.per_row;
        if (static_cast<double>(work.rows) <= drawn.passing_in_front ||
            (drawn.one_of != 0 && work.rows % drawn.one_of == 0))
            ++work.passed;
        if (drawn.wanted >= 0 && static_cast<double>(work.passed) >= drawn.wanted)
            return 0;
    }
}

TEST(GivingUpTest, CostsHalfOfTheExactSearchAtMost) {
    double most = 0;
    for (const double first_round : {300.0, 1000.0, 5000.0, 12000.0, 30000.0})
        for (const std::uint64_t width : {40u, 200u, 1000u})
            // A row that a walk has found has cost it many distances.
            for (const double share_of_rows : {0.05, 0.5})
                for (const double wanted : {-1.0, 10.0, 40.0, 200.0, 1000.0, 5000.0})
                    for (const double in_front : {0.0, 0.5, 0.9, 0.95, 0.99})
                        for (const std::uint64_t one_of : {0u, 2u, 3u, 10u, 100u}) {
                            const double per_row =
                                share_of_rows * first_round / static_cast<double>(width);
                            const double cost =
                                cost_in_vain({first_round, width, per_row, wanted,
                                              std::floor(in_front * wanted), one_of});
                            ASSERT_LE(cost, most_in_vain * exact + per_row)
                                << first_round << " " << width << " " << per_row << " " << wanted
                                << " " << in_front << " " << one_of;
                            most = std::max(most, cost);
                        }
    EXPECT_GT(most, 0.45 * exact) << "searches that were on track go that far";
}

TEST(GivingUpTest, AFirstRoundWithEnoughRowsIsUsed) {
    EXPECT_EQ(cost_in_vain({45000, 225, 60, 150, 0, 1}), 0);
    EXPECT_EQ(cost_in_vain({34000, 225, 70, 150, 130, 2}), 0);
    EXPECT_GT(cost_in_vain({45000, 225, 60, 150, 0, 10}), 0);
}

TEST(GivingUpTest, AWalkThatIsOnTrackGoesFurther) {
    WorkSoFar work;
    work.exact = exact;
    work.wanted = 100;
    work.done = 0.3 * exact;
    work.rows = 1000;
    work.passed = 90;
    EXPECT_EQ(work.share_to_walk(), most_in_vain);
    work.passed = 30;
    EXPECT_EQ(work.share_to_walk(), wasted_share);
    work.all_pass = true;
    EXPECT_EQ(work.share_to_walk(), most_in_vain);
}

}  // namespace
}  // namespace dvec::postgres
