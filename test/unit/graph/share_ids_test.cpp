// Each id is worked on once, by whichever thread; a failure or a stop leaves the rest.
#include "engine/graph/share_ids.hpp"

#include <gtest/gtest.h>

#include <new>
#include <vector>

namespace dvec::graph {
namespace {

using base::Code;
using base::Status;

class ShareIdsTest : public ::testing::Test {
  protected:
    ThreadPool pool_{3};
    std::atomic<bool> stop_{false};
};

TEST_F(ShareIdsTest, EachIdOnce) {
    for (const NodeId end : {10u, 11u, 25u, 5000u}) {
        std::vector<std::atomic<int>> calls(end);
        const Status status = share_ids(pool_, 10, end, stop_, [&](NodeId id, unsigned worker) {
            EXPECT_LE(worker, pool_.helpers());
            calls[id].fetch_add(1);
            return Status();
        });
        EXPECT_TRUE(status.ok());
        for (NodeId id = 0; id < end; ++id)
            ASSERT_EQ(calls[id].load(), id < 10 ? 0 : 1) << id;
    }
}

TEST_F(ShareIdsTest, TheCallerWorksThroughFewIds) {
    const Status status = share_ids(pool_, 0, ids_per_thread - 1, stop_, [](NodeId, unsigned by) {
        EXPECT_EQ(by, 0u);
        return Status();
    });
    EXPECT_TRUE(status.ok());
}

TEST_F(ShareIdsTest, AFailureLeavesTheRest) {
    std::atomic<NodeId> calls{0};
    const Status status = share_ids(pool_, 0, 1'000'000, stop_, [&](NodeId id, unsigned) {
        calls.fetch_add(1);
        return id == 100 ? Status(Code::corrupt, "this one") : Status();
    });
    EXPECT_EQ(status.code(), Code::corrupt);
    EXPECT_EQ(status.message(), "this one");
    EXPECT_GT(calls.load(), 100u);
    EXPECT_LT(calls.load(), 1'000'000u);
}

TEST_F(ShareIdsTest, WhatIsThrownIsAFailure) {
    const Status status = share_ids(pool_, 0, 1000, stop_, [](NodeId id, unsigned) -> Status {
        if (id == 900)
            throw std::bad_alloc();
        return {};
    });
    EXPECT_EQ(status.code(), Code::out_of_memory);
}

TEST_F(ShareIdsTest, AStopLeavesTheRest) {
    std::atomic<NodeId> calls{0};
    const auto work = [&](NodeId id, unsigned) {
        calls.fetch_add(1);
        if (id == 100)
            stop_.store(true);
        return Status();
    };
    EXPECT_EQ(share_ids(pool_, 0, 1'000'000, stop_, work).code(), Code::interrupted);
    EXPECT_LT(calls.load(), 1'000'000u);
    calls.store(0);
    EXPECT_EQ(share_ids(pool_, 0, 1000, stop_, work).code(), Code::interrupted);
    EXPECT_EQ(calls.load(), 0u);
    EXPECT_TRUE(share_ids(pool_, 7, 7, stop_, work).ok()) << "nothing was left";
}

}  // namespace
}  // namespace dvec::graph
