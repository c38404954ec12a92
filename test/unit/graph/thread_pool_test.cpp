// The linker's threads: everyone works, nobody hears signals, the pool can be used again and again.
#include "engine/graph/thread_pool.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <set>

namespace dvec::graph {
namespace {

TEST(ThreadPoolTest, EveryWorkerRunsOncePerRun) {
    ThreadPool pool(3);
    EXPECT_EQ(pool.helpers(), 3u);
    for (int round = 0; round < 300; ++round) {
        const unsigned helpers = static_cast<unsigned>(round) % 6;
        std::mutex mutex;
        std::multiset<unsigned> numbers;
        pool.run(helpers, [&](unsigned worker) {
            const std::lock_guard lock(mutex);
            numbers.insert(worker);
        });
        std::multiset<unsigned> expected;
        for (unsigned worker = 0; worker <= std::min(helpers, 3u); ++worker)
            expected.insert(worker);
        ASSERT_EQ(numbers, expected);
    }
}

TEST(ThreadPoolTest, WorksWithoutHelpers) {
    ThreadPool pool(0);
    int calls = 0;
    pool.run(5, [&](unsigned worker) { calls += worker == 0; });
    EXPECT_EQ(calls, 1);
}

TEST(ThreadPoolTest, HelpersBlockSignalsAndTheCallerKeepsItsMask) {
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, nullptr, &before);
    ThreadPool pool(2);
    pthread_sigmask(SIG_SETMASK, nullptr, &after);
    std::atomic<int> blocked{0};
    pool.run(2, [&](unsigned worker) {
        sigset_t mask;
        pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        if (worker > 0 && sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGUSR1) == 1)
            ++blocked;
    });
    EXPECT_EQ(blocked.load(), 2);
    for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGALRM})
        EXPECT_EQ(sigismember(&before, signal), sigismember(&after, signal));
}

}  // namespace
}  // namespace dvec::graph
