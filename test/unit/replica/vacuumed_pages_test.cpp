// No page that VACUUM has touched is forgotten, and a round hands out all that were known when it
// began: a follower says then that its index has everything of before.
#include "postgres/replica/vacuumed_pages.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace dvec::postgres {
namespace {

using Pages = std::vector<std::uint32_t>;

TEST(VacuumedPagesTest, PagesComeInOrderEachOnce) {
    VacuumedPages pages;
    EXPECT_TRUE(pages.empty());
    EXPECT_EQ(pages.take(10), Pages{});
    for (const std::uint32_t page : {700u, 3u, 64u, 3u, 63u, 700u, 0u})
        pages.add(page);
    EXPECT_FALSE(pages.empty());
    EXPECT_EQ(pages.take(10), (Pages{0, 3, 63, 64, 700}));
    EXPECT_TRUE(pages.empty());
    EXPECT_TRUE(pages.at_begin());
}

TEST(VacuumedPagesTest, WhatComesBehindTheHandWaitsForTheNextRound) {
    VacuumedPages pages;
    for (std::uint32_t page = 0; page < 640; ++page)
        pages.add(page);
    EXPECT_EQ(pages.take(100).size(), 128u);
    EXPECT_FALSE(pages.at_begin());
    pages.add(5);
    pages.add(1000);
    Pages rest = pages.take(10'000);
    EXPECT_EQ(rest.front(), 128u);
    EXPECT_EQ(rest.back(), 1000u);
    EXPECT_TRUE(pages.at_begin());
    EXPECT_EQ(pages.take(10'000), Pages{5});
}

TEST(VacuumedPagesTest, PagesThatAreGivenBackAreTheNext) {
    VacuumedPages pages;
    for (std::uint32_t page = 0; page < 640; page += 2)
        pages.add(page);
    (void)pages.take(50);
    const Pages failed = pages.take(50);
    pages.put_back(failed);
    pages.put_back({});
    EXPECT_FALSE(pages.at_begin());
    EXPECT_EQ(pages.take(50), failed);
    // The last of a round, too.
    const Pages last = pages.take(10'000);
    EXPECT_TRUE(pages.at_begin());
    pages.put_back(last);
    EXPECT_FALSE(pages.at_begin());
    EXPECT_EQ(pages.take(10'000), last);
    EXPECT_TRUE(pages.empty());
    pages.add(9);
    pages.clear();
    EXPECT_TRUE(pages.empty() && pages.at_begin());
}

// Adds, takes and gives back at random, and looks at the end of each round for what was known when
// it began.
TEST(VacuumedPagesTest, ARoundHandsOutAllThatWereKnownWhenItBegan) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    VacuumedPages pages;
    std::set<std::uint32_t> left;   // not read
    std::set<std::uint32_t> known;  // when the round began, and not read since
    int rounds = 0;
    for (int step = 0; step < 20'000; ++step) {
        for (unsigned adds = random() % 8; adds > 0; --adds) {
            const std::uint32_t page = random() % 3000;
            pages.add(page);
            left.insert(page);
        }
        if (pages.at_begin())
            known = left;
        const Pages taken = pages.take(1 + random() % 128);
        ASSERT_TRUE(std::is_sorted(taken.begin(), taken.end()));
        ASSERT_TRUE(std::includes(left.begin(), left.end(), taken.begin(), taken.end()));
        if (random() % 4 == 0) {
            // Those of the first word begin the round again.
            pages.put_back(taken);
            continue;
        }
        for (const std::uint32_t page : taken) {
            left.erase(page);
            known.erase(page);
        }
        ASSERT_EQ(pages.empty(), left.empty());
        if (pages.at_begin()) {
            ++rounds;
            ASSERT_TRUE(known.empty()) << *known.begin();
        }
    }
    EXPECT_GT(rounds, 100);
}

}  // namespace
}  // namespace dvec::postgres
