// Real processes append through mappings of their own and are killed at random moments. Whatever
// append() returned for is in the log afterwards, exactly once and whole; whatever it did not
// return for is there whole or not at all. In some rounds the shared state survives the killing, in
// others it is rebuilt.
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <new>
#include <random>
#include <thread>

#include "../support/sanitized.hpp"
#include "log_fixture.hpp"

namespace dvec::test {
namespace {

constexpr std::uint32_t writer_count = 3;
constexpr std::uint32_t node_limit = 1 << 16;
constexpr std::uint64_t segment_bytes = 256 * 1024;

// A lock that outlives its holder's death, as the server's restart makes locks do.
class RobustMutex {
  public:
    RobustMutex() {
        pthread_mutexattr_t attributes;
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
        pthread_mutex_init(&mutex_, &attributes);
        pthread_mutexattr_destroy(&attributes);
    }
    void lock() {
        if (pthread_mutex_lock(&mutex_) == EOWNERDEAD)
            pthread_mutex_consistent(&mutex_);
    }
    void unlock() { pthread_mutex_unlock(&mutex_); }

  private:
    pthread_mutex_t mutex_;
};

struct Shared {
    log::SharedState state;
    RobustMutex append_lock;
    RobustMutex prepare_lock;
    std::atomic<std::uint32_t> next_node;
    std::array<std::atomic<std::uint8_t>, node_limit> acknowledged;
};

std::size_t payload_size(std::uint32_t node) { return node * 7919 % 40'000; }

// The child's whole life. Ends only by being killed, or with a code that says what went wrong.
[[noreturn]] void append_forever(const log::Geometry &geometry, Shared &shared) {
    MutexOfNobody sync_lock;  // nobody syncs here
    auto opened = log::Writer::open(base::posix_file_system(), geometry, shared.state, sync_lock);
    if (!opened.ok())
        _exit(10);
    log::Writer &writer = *opened.value();
    for (;;) {
        const std::uint32_t node = shared.next_node.fetch_add(1);
        if (node >= node_limit)
            _exit(11);
        const Payload payload = make_payload(node, payload_size(node));
        const log::Draft draft(log::RecordType::insert, node, payload);
        for (bool done = false; !done;) {
            shared.append_lock.lock();
            const auto fits = writer.fits(draft);
            if (!fits.ok())
                _exit(12);
            if (fits.value()) {
                writer.append(draft, node);
                shared.acknowledged[node] = 1;
                done = true;
            }
            shared.append_lock.unlock();
            if (done)
                break;
            shared.prepare_lock.lock();
            if (!writer.prepare(draft.record_bytes()).ok())
                _exit(13);
            shared.prepare_lock.unlock();
        }
    }
}

class LogKill : public testing::Test {
  protected:
    void SetUp() override {
        void *memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ASSERT_NE(memory, MAP_FAILED);
        shared_ = new (memory) Shared();
        geometry_ = {.directory = directory_.path(),
                     .segment_bytes = segment_bytes,
                     .identity = test_identity};
    }
    void TearDown() override { ::munmap(shared_, sizeof(Shared)); }

    // The writers live until they have begun `records` records, however slow the machine is, and
    // then for `life` more, so that they die anywhere in one.
    void run_writers_and_kill_them(std::uint32_t records, std::chrono::microseconds life) {
        const std::uint32_t goal = shared_->next_node + records;
        std::array<pid_t, writer_count> children;
        for (pid_t &child : children) {
            child = ::fork();
            ASSERT_GE(child, 0);
            if (child == 0)
                append_forever(geometry_, *shared_);
        }
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (shared_->next_node < goal && std::chrono::steady_clock::now() < deadline)
            std::this_thread::sleep_for(std::chrono::microseconds(50));
        std::this_thread::sleep_for(life);
        for (const pid_t child : children)
            ::kill(child, SIGKILL);
        for (const pid_t child : children) {
            int status = 0;
            ASSERT_EQ(::waitpid(child, &status, 0), child);
            ASSERT_TRUE(WIFSIGNALED(status)) << "exit code " << WEXITSTATUS(status);
        }
        ASSERT_GE(shared_->next_node.load(), goal) << "the writers hardly lived";
    }

    // Checks the log against what was acknowledged; counts what is in it though it was not.
    ReplayResult check() {
        ReplayResult result = replay_all(geometry_);
        EXPECT_TRUE(result.status.ok()) << result.status.message();
        EXPECT_TRUE(result.report.damage.empty());
        EXPECT_FALSE(result.report.broken_tail.has_value())
            << result.report.broken_tail->reason << " at " << result.report.broken_tail->offset;
        const std::uint32_t begun = shared_->next_node;
        std::vector<std::uint8_t> seen(begun, 0);
        for (const ReadRecord &record : result.records) {
            EXPECT_LT(record.node, begun);
            if (record.node >= begun)
                continue;
            EXPECT_EQ(seen[record.node]++, 0) << "node " << record.node << " is there twice";
            EXPECT_EQ(record.payload, make_payload(record.node, payload_size(record.node)));
        }
        for (std::uint32_t node = 0; node < begun; ++node)
            EXPECT_GE(seen[node], shared_->acknowledged[node]) << "node " << node << " is lost";
        return result;
    }

    TempDirectory directory_;
    log::Geometry geometry_;
    MutexOfNobody sync_lock_;
    Shared *shared_ = nullptr;
};

TEST_F(LogKill, EveryAcknowledgedRecordSurvives) {
    std::mt19937 random(20'240'917);
    for (int round = 0; round < (sanitized ? 10 : 30); ++round) {
        SCOPED_TRACE(round);
        run_writers_and_kill_them(10 + random() % 100, std::chrono::microseconds(random() % 500));
        const ReplayResult result = check();
        if (HasFailure())
            return;
        if (round % 3 == 0)
            continue;  // the shared state survives
        auto writer =
            log::Writer::open(base::posix_file_system(), geometry_, shared_->state, sync_lock_);
        ASSERT_TRUE(writer.ok());
        if (round % 5 != 4) {
            ASSERT_TRUE(writer.value()->resume(result.report).ok());
            continue;
        }
        ASSERT_TRUE(writer.value()->begin().ok());
        shared_->next_node = 0;
        for (auto &flag : shared_->acknowledged)
            flag.store(0, std::memory_order_relaxed);
    }
}

// Killed exactly between leaving a segment and writing into the next: the child's next segment
// loses its pages after it was mapped, so the first store into it is fatal.
TEST_F(LogKill, BetweenTwoSegments) {
    auto opened =
        log::Writer::open(base::posix_file_system(), geometry_, shared_->state, sync_lock_);
    ASSERT_TRUE(opened.ok());
    log::Writer &writer = *opened.value();
    const auto append = [&](std::uint32_t node, std::size_t size) {
        const Payload payload = make_payload(node, size);
        const log::Draft draft(log::RecordType::insert, node, payload);
        const auto fits = writer.fits(draft);
        if (!fits.ok() || !fits.value())
            return false;
        writer.append(draft, node);
        return true;
    };
    ASSERT_TRUE(writer.prepare(segment_bytes).ok());
    ASSERT_TRUE(append(1, 100'000));
    ASSERT_TRUE(append(2, 100'000));
    ASSERT_TRUE(writer.prepare(100'100).ok());

    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        ::signal(SIGBUS, SIG_DFL);
        const Payload payload = make_payload(3, 100'000);
        const log::Draft draft(log::RecordType::insert, 3, payload);
        if (!writer.fits(draft).value())
            _exit(10);
        if (::truncate(geometry_.segment_path(1).c_str(), 0) != 0)
            _exit(11);
        writer.append(draft, 3);
        _exit(12);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit code " << WEXITSTATUS(status);
    ASSERT_EQ(WTERMSIG(status), SIGBUS);
    ASSERT_EQ(::truncate(geometry_.segment_path(1).c_str(), segment_bytes), 0);

    EXPECT_EQ(shared_->state.head.load(), segment_bytes);
    ASSERT_TRUE(append(4, 10));
    const ReplayResult result = replay_all(geometry_);
    ASSERT_EQ(result.records.size(), 3u);
    EXPECT_EQ(result.records.back().position, segment_bytes);
    EXPECT_TRUE(result.report.damage.empty());
}

}  // namespace
}  // namespace dvec::test
