// Real processes on one index: some insert and remove, one links and takes checkpoints, all are
// killed at a random moment, and recovery works on what their mappings left. Whatever insert()
// returned for is found, whatever remove() returned for is not.
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <new>
#include <random>

#include "../support/sanitized.hpp"
#include "store_fixture.hpp"

namespace dvec::test {
namespace {

using store::CheckpointKind;
using store::Start;

constexpr unsigned writer_count = 3;
constexpr Row row_limit = 1 << 17;

// A lock between processes, as the server's lightweight locks are. A server start makes new ones.
class ProcessLock final : public base::Mutex {
  public:
    ProcessLock() {
        pthread_mutexattr_t attributes;
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        pthread_mutex_init(&mutex_, &attributes);
        pthread_mutexattr_destroy(&attributes);
    }
    void lock() override { pthread_mutex_lock(&mutex_); }
    void unlock() override { pthread_mutex_unlock(&mutex_); }

  private:
    pthread_mutex_t mutex_;
};

enum RowFate : std::uint8_t { row_unknown, row_begun, row_present, row_going, row_gone };

// What dies with the server, and what the test remembers.
struct SharedMemory {
    store::SharedState state;
    ProcessLock append;
    ProcessLock grow;
    ProcessLock sync;
};
struct Witness {
    std::atomic<Row> next_row;
    std::array<std::atomic<std::uint8_t>, row_limit> fates;
    std::array<std::atomic<graph::NodeId>, row_limit> ids;
    std::atomic<std::uint32_t> checkpoints;
};

template <class T>
T *map_shared() {
    void *memory =
        ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        ADD_FAILURE() << "no shared memory";
        std::abort();
    }
    return new (memory) T();
}

class StoreProcessKill : public testing::Test {
  protected:
    void SetUp() override {
        shared_ = map_shared<SharedMemory>();
        witness_ = map_shared<Witness>();
        store_.description.segment_bytes = 8192;
        ASSERT_NO_FATAL_FAILURE(store_.build(50));
        for (Row row = 0; row < 50; ++row) {
            witness_->fates[row] = row_present;
            witness_->ids[row] = row;
        }
        witness_->next_row = 50;
        start_server();
        ASSERT_EQ(start_, Start::clean);
    }
    void TearDown() override {
        ::munmap(shared_, sizeof(SharedMemory));
        ::munmap(witness_, sizeof(Witness));
    }

    store::Locks locks() { return {shared_->append, shared_->grow, shared_->sync}; }

    void start_server() {
        new (shared_) SharedMemory();
        store_.history.begin_start();
        auto report = store::recover(store_.files, store_.description, shared_->state, locks(),
                                     store_.history);
        ASSERT_TRUE(report.ok()) << report.status().message();
        ASSERT_NE(report.value().start, Start::rebuild) << report.value().reason;
        start_ = report.value().start;
    }

    // The lives of the children. They end only by being killed, or with a code that says what was
    // wrong.
    [[noreturn]] void write_forever(unsigned seed) {
        std::minstd_rand random(seed);
        auto index = store::Index::open(store_.files, store_.description, shared_->state, locks());
        if (!index.ok())
            _exit(10);
        for (;;) {
            const Row row = witness_->next_row.fetch_add(1);
            while (row >= row_limit)
                ::pause();
            const auto vector = store_.vector(row);
            witness_->fates[row] = row_begun;
            auto id = index.value()->insert(tid_of(row), row, vector.data());
            if (!id.ok())
                _exit(12);
            witness_->ids[row] = id.value();
            witness_->fates[row] = row_present;
            if (random() % 4 != 0)
                continue;
            const Row victim = static_cast<Row>(random() % row);
            std::uint8_t expected = row_present;
            if (!witness_->fates[victim].compare_exchange_strong(expected, row_going))
                continue;
            if (!index.value()->remove(witness_->ids[victim], row).ok())
                _exit(13);
            witness_->fates[victim] = row_gone;
        }
    }
    [[noreturn]] void maintain_forever() {
        auto opened =
            store::Maintainer::open(store_.files, store_.description, shared_->state, locks(), 1);
        if (!opened.ok())
            _exit(20);
        const std::atomic<bool> go{false};
        FakeWal wal;
        for (unsigned turn = 0;; ++turn) {
            if (!opened.value()->link(16, go).ok())
                _exit(21);
            if (turn % 4 == 3) {
                if (!opened.value()->checkpoint(wal, CheckpointKind::running).ok())
                    _exit(22);
                ++witness_->checkpoints;
            }
        }
    }

    // Lets the children do something worth losing, then a moment more.
    void let_live(Row rows, std::uint32_t checkpoints, useconds_t longer) {
        const Row enough_rows = std::min(witness_->next_row + rows, row_limit);
        const std::uint32_t enough_checkpoints = witness_->checkpoints + checkpoints;
        for (int patience = 20'000; patience > 0; --patience) {
            if (witness_->next_row >= enough_rows && witness_->checkpoints >= enough_checkpoints)
                break;
            ::usleep(100);
        }
        ::usleep(longer);
    }

    void run_and_kill(unsigned seed, useconds_t longer) {
        std::vector<pid_t> children;
        for (unsigned child = 0; child <= writer_count; ++child) {
            const pid_t pid = ::fork();
            ASSERT_GE(pid, 0);
            if (pid == 0) {
                if (child == writer_count)
                    maintain_forever();
                write_forever(seed * 10 + child + 1);
            }
            children.push_back(pid);
        }
        let_live(100, seed % 2, longer);
        for (const pid_t pid : children)
            ::kill(pid, SIGKILL);
        for (const pid_t pid : children) {
            int status = 0;
            ASSERT_EQ(::waitpid(pid, &status, 0), pid);
            ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
                << "exit code " << WEXITSTATUS(status) << ", signal " << WTERMSIG(status);
        }
    }

    // What was certain when the processes died is so now; what was in between is settled here for
    // good.
    void check() {
        auto index = store::Index::open(store_.files, store_.description, shared_->state, locks());
        ASSERT_TRUE(index.ok()) << index.status().message();
        const auto query = store_.vector(5);
        std::map<Row, graph::NodeId> found;
        for (const graph::Hit &hit : all_hits(*index.value(), query)) {
            const Row row = row_of(hit.tid);
            ASSERT_TRUE(found.emplace(row, hit.id).second) << "row " << row << " is found twice";
            ASSERT_EQ(hit.distance, distance_between(*index.value(), query, store_.vector(row)));
        }
        const Row begun = std::min(witness_->next_row.load(), row_limit);
        ASSERT_TRUE(found.empty() || found.rbegin()->first < begun);
        for (Row row = 0; row < begun; ++row) {
            const std::uint8_t fate = witness_->fates[row];
            const auto hit = found.find(row);
            if (fate == row_present) {
                ASSERT_NE(hit, found.end()) << "row " << row << " is lost";
                ASSERT_EQ(hit->second, witness_->ids[row]) << "row " << row;
            }
            if (fate == row_unknown || fate == row_gone) {
                ASSERT_EQ(hit, found.end()) << "row " << row << " should not be there";
            }
            witness_->fates[row] = hit == found.end() ? row_gone : row_present;
            if (hit != found.end())
                witness_->ids[row] = hit->second;
        }
        found_ = found.size();
    }

    StoreUnderTest store_;
    SharedMemory *shared_ = nullptr;
    Witness *witness_ = nullptr;
    Start start_ = Start::rebuild;
    std::size_t found_ = 0;
};

TEST_F(StoreProcessKill, WhatReturnedBeforeTheKillHoldsAfterIt) {
    constexpr unsigned rounds = sanitized ? 10 : 25;
    std::mt19937 random(4242);
    unsigned with_log = 0;
    for (unsigned round = 0; round < rounds; ++round) {
        SCOPED_TRACE(round);
        ASSERT_NO_FATAL_FAILURE(run_and_kill(round, random() % 8000));
        ASSERT_NO_FATAL_FAILURE(start_server());
        with_log += start_ == Start::replayed;
        ASSERT_NO_FATAL_FAILURE(check());
        // A crash right after the start changes nothing.
        if (round % 5 != 0)
            continue;
        ASSERT_NO_FATAL_FAILURE(start_server());
        ASSERT_NO_FATAL_FAILURE(check());
    }
    EXPECT_EQ(with_log, rounds);
    EXPECT_GT(found_, 40 * rounds) << "the writers hardly lived";
    EXPECT_GE(witness_->checkpoints.load(), rounds / 2) << "the maintainer hardly lived";
}

}  // namespace
}  // namespace dvec::test
