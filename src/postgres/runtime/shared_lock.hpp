// Locks in shared memory that a session can stop waiting for.
//
// The server's lightweight locks are meant to be held for moments, and nothing ends the wait for
// one: neither statement_timeout nor pg_terminate_backend. But the dvec worker holds some of ours
// while it links or waits for a disk, and any process may be stopped (SIGSTOP, a debugger, a frozen
// container) while it holds one. So these are lightweight locks, with their cleanup after an ERROR,
// that are waited for on a condition variable, where an interrupt is noticed.
#pragma once

#include <atomic>

#include "engine/base/mutex.hpp"
#include "engine/store/shared_state.hpp"
#include "postgres/bridge/shared_memory.hpp"

namespace dvec::postgres {

class SharedLock {
  public:
    // In the memory that all share, once.
    void init(int tranche) noexcept;

    // Throws base::Interrupted when a cancel or a shutdown of this process comes before the lock is
    // free. The worker is not interrupted by either.
    void lock(LWLockMode mode = LW_EXCLUSIVE);
    bool try_lock() noexcept { return LWLockConditionalAcquire(&lock_, LW_EXCLUSIVE); }
    // Like try_lock, but waits while the lock is held, for a while at most, when it is: then it is
    // free, or was. Interruptible as lock() is.
    bool lock_or_wait();
    void unlock() noexcept;

    // Whether somebody waits. Who takes the lock again and again must let him have it: a lock that
    // is released is free for whoever comes first.
    bool is_wanted() const noexcept { return waiting_.load(std::memory_order_acquire) > 0; }

  private:
    bool wait_for(LWLockMode mode, bool once);

    LWLock lock_;
    std::atomic<uint32> waiting_;
    ConditionVariable freed_;
};

// Held until the end of the block.
class Holding {
  public:
    explicit Holding(SharedLock &lock, LWLockMode mode = LW_EXCLUSIVE) : lock_(lock) {
        lock_.lock(mode);
    }
    ~Holding() { lock_.unlock(); }
    Holding(const Holding &) = delete;
    Holding &operator=(const Holding &) = delete;

  private:
    SharedLock &lock_;
};

// One as the engine wants it.
class EngineLock final : public base::Mutex {
  public:
    explicit EngineLock(SharedLock &lock) noexcept : lock_(lock) {}
    void lock() override { lock_.lock(); }
    void unlock() override { lock_.unlock(); }

  private:
    SharedLock &lock_;
};

}  // namespace dvec::postgres
