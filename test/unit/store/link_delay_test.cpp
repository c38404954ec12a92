// When linking waits for the end of a burst of inserts, and when it does not.
#include "engine/store/link_delay.hpp"

#include <gtest/gtest.h>

namespace dvec::test {
namespace {

using store::LinkDelay;

constexpr std::int64_t millisecond = 1000;
constexpr std::uint64_t limit = 16u << 20;
constexpr std::uint64_t vector_bytes = 512;

// An index into which rows come at a steady rate, looked at by one who links nothing.
class LinkDelayTest : public testing::Test {
  protected:
    bool look() {
        const std::uint64_t tail = (allocated_ - linked_) * vector_bytes;
        return delay_.should_wait({time_, allocated_, tail, limit});
    }
    // Looks every two milliseconds; returns at how many of the looks linking should wait.
    int looks_that_wait(std::int64_t milliseconds, std::uint32_t rows_per_millisecond) {
        int waits = 0;
        for (std::int64_t passed = 0; passed < milliseconds; passed += 2) {
            pass(2, rows_per_millisecond);
            waits += look();
        }
        return waits;
    }
    void pass(std::int64_t milliseconds, std::uint32_t rows_per_millisecond) {
        time_ += milliseconds * millisecond;
        allocated_ += static_cast<std::uint32_t>(milliseconds) * rows_per_millisecond;
    }
    void link_all() { linked_ = allocated_; }

    LinkDelay delay_;
    std::int64_t time_ = 800'000'000 * millisecond;
    std::uint32_t allocated_ = 10'000;
    std::uint32_t linked_ = 10'000;
};

TEST_F(LinkDelayTest, NothingIsWaitedForWithoutRows) {
    look();
    time_ += 60'000 * millisecond;
    EXPECT_EQ(looks_that_wait(100, 0), 0);
}

TEST_F(LinkDelayTest, FirstRowsAfterAWhileAreGivenAMoment) {
    look();
    time_ += 60'000 * millisecond;
    ++allocated_;
    EXPECT_TRUE(look());
    time_ += LinkDelay::patience;
    EXPECT_FALSE(look());
    link_all();
    EXPECT_EQ(looks_that_wait(100, 0), 0);
}

TEST_F(LinkDelayTest, IsWaitedForToItsEndAndNotMuchLonger) {
    look();
    EXPECT_EQ(looks_that_wait(80, 100), 40);
    EXPECT_LE(looks_that_wait(100, 0), LinkDelay::window / (2 * millisecond) + 1);
    EXPECT_FALSE(look());
}

TEST_F(LinkDelayTest, ManyRowsAtOnceAfterASleepAreNoSignOfHaste) {
    looks_that_wait(100, 0);
    pass(1'000, 1);
    look();
    time_ += LinkDelay::patience;
    EXPECT_FALSE(look());
}

TEST_F(LinkDelayTest, FewerIdsAfterACompactionAreNoRows) {
    look();
    allocated_ = linked_ = 100;
    time_ += 2 * millisecond;
    EXPECT_FALSE(look());
    EXPECT_EQ(looks_that_wait(20, 100), 10);
}

TEST_F(LinkDelayTest, SlowRowsAreLinkedAsTheyCome) {
    look();
    int waits = 0;
    for (int round = 0; round < 100; ++round) {
        waits += looks_that_wait(10, 3);
        link_all();
    }
    EXPECT_LE(waits, 200) << "of 500 looks";
}

// Who links takes looks only now and then.
TEST_F(LinkDelayTest, AStreamIsNotWaitedForAgain) {
    look();
    int waits = 0;
    for (std::int64_t passed = 0; passed < 2 * LinkDelay::longest; passed += 2 * millisecond) {
        waits += looks_that_wait(2, 20);
        link_all();
    }
    EXPECT_LE(waits, LinkDelay::longest / (2 * millisecond) + 1);
    for (int turn = 0; turn < 100; ++turn) {
        pass(25, 20);
        EXPECT_FALSE(look());
        link_all();
    }
    // Nor when it falters, as it does when a disk is slow.
    for (int stall = 0; stall < 20; ++stall) {
        looks_that_wait(40, 0);
        pass(2, 100);
        EXPECT_FALSE(look());
    }
    // After a rest another burst may begin.
    looks_that_wait(LinkDelay::rest / millisecond + 10, 0);
    pass(2, 100);
    EXPECT_TRUE(look());
}

TEST_F(LinkDelayTest, AClockThatIsSetBackStopsNobody) {
    look();
    EXPECT_EQ(looks_that_wait(20, 100), 10);
    time_ -= 3600'000 * millisecond;
    looks_that_wait(20, 0);
    EXPECT_EQ(looks_that_wait(100, 0), 0);
}

TEST_F(LinkDelayTest, ALongTailIsLinkedAtOnce) {
    look();
    const auto rows = static_cast<std::uint32_t>(limit / LinkDelay::tail_share / vector_bytes);
    pass(2, 1000);
    EXPECT_TRUE(look());
    allocated_ = linked_ + rows - 1;
    EXPECT_TRUE(look());
    ++allocated_;
    EXPECT_FALSE(look());
    pass(2, 1000);
    EXPECT_FALSE(look());
}

}  // namespace
}  // namespace dvec::test
