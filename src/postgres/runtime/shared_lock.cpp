// A process that releases a lock checks for waiters and wakes the first. A waiter registers itself
// before it checks the lock for the last time, so one of the two always notices the other.
#include "postgres/runtime/shared_lock.hpp"

#include "engine/base/status.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/shared_memory.hpp"
#include "postgres/runtime/wait_events.hpp"

namespace dvec::postgres {

namespace {

// Interrupts are checked whenever a sleep ends, so at least this often.
constexpr long look_again_ms = 100;

}  // namespace

void SharedLock::init(int tranche) noexcept {
    LWLockInitialize(&lock_, tranche);
    waiting_.store(0);
    ConditionVariableInit(&freed_);
}

void SharedLock::lock(LWLockMode mode) {
    if (!LWLockConditionalAcquire(&lock_, mode))
        (void)wait_for(mode, false);
    // Only one waiter was woken, but a shared lock leaves room for others.
    if (mode == LW_SHARED && is_wanted())
        ConditionVariableSignal(&freed_);
}

bool SharedLock::lock_or_wait() {
    return LWLockConditionalAcquire(&lock_, LW_EXCLUSIVE) || wait_for(LW_EXCLUSIVE, true);
}

// Returns whether the lock is held: always, unless it is tried only `once` after a wait.
bool SharedLock::wait_for(LWLockMode mode, bool once) {
    waiting_.fetch_add(1);
    // A sleep would process interrupts and raise an ERROR, but C++ objects with destructors may be
    // alive here.
    InterruptHoldoffCount = InterruptHoldoffCount + 1;
    ConditionVariablePrepareToSleep(&freed_);
    bool held = LWLockConditionalAcquire(&lock_, mode);
    bool interrupted = false;
    for (bool slept = false; !held && !(once && slept); slept = true) {
        interrupted = interruption_pending();
        if (interrupted)
            break;
        ConditionVariableTimedSleep(&freed_, look_again_ms, wait_event(WaitFor::lock));
        held = LWLockConditionalAcquire(&lock_, mode);
    }
    ConditionVariableCancelSleep();
    InterruptHoldoffCount = InterruptHoldoffCount - 1;
    waiting_.fetch_sub(1);
    if (interrupted)
        throw base::Interrupted();
    return held;
}

void SharedLock::unlock() noexcept {
    LWLockRelease(&lock_);
    if (is_wanted())
        ConditionVariableSignal(&freed_);
}

}  // namespace dvec::postgres
