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
    // Like try_lock, but when the lock is held, waits until it is released or for a short time, and
    // then tries once more. Interruptible like lock().
    bool lock_or_wait();
    void unlock() noexcept;

    // Whether another process waits for the lock. A process that takes the lock repeatedly must
    // check this and pause, since a released lock is not handed over to the waiter.
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

// Adapts a lock to the engine's interface.
class EngineLock final : public base::Mutex {
  public:
    explicit EngineLock(SharedLock &lock) noexcept : lock_(lock) {}
    void lock() override { lock_.lock(); }
    void unlock() override { lock_.unlock(); }

  private:
    SharedLock &lock_;
};

}  // namespace dvec::postgres
