// The kernel tells of a failed write-back once: whoever opens the file after that is told of
// success.
#include <gtest/gtest.h>

#include <chrono>
#include <future>

#include "../support/faulty_file_system.hpp"
#include "store_fixture.hpp"

namespace dvec::test {
namespace {

using namespace std::chrono_literals;

TEST(TwoSyncers, NoneGetsPastTheFailureOfTheOther) {
    FaultyFileSystem files;
    StoreUnderTest under_test(files);
    under_test.build(20);
    under_test.recover();
    auto index = under_test.open();
    under_test.insert(*index, 20);
    ASSERT_TRUE(index->sync_log().ok());
    under_test.insert(*index, 21);
    const log::Position synced = under_test.state->log.synced.load();
    auto maintainer = under_test.maintainer();

    // The session's sync has failed, and before it says so the worker begins one.
    std::future<base::Status> other;
    files.plan().after_fault = [&] {
        other = std::async(std::launch::async, [&] { return maintainer->sync_log(); });
        (void)other.wait_for(200ms);
    };
    files.plan().fail(Operation::sync, 1, EIO);
    EXPECT_EQ(index->sync_log().code(), base::Code::io_error);
    ASSERT_TRUE(other.valid());
    EXPECT_EQ(other.get().code(), base::Code::io_error);
    EXPECT_EQ(under_test.state->log.synced.load(), synced);
}

}  // namespace
}  // namespace dvec::test
