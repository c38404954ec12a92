// The server's PG_TRY and its kin, for code that may throw as well.
//
// An exception that left such a block would skip both what is to be done about an error and the end
// of the block, and the next error would jump into a frame that is gone. So the blocks are written
// here and nowhere else (scripts/check-layout sees to it), with a guard inside: what is thrown in
// them has become an ERROR before it reaches their end.
#pragma once

#include <type_traits>
#include <utility>

#include "postgres/bridge/guard.hpp"

extern "C" {
#include "storage/ipc.h"
}

namespace dvec::postgres {

// Runs `body`. When it fails, or the process ends meanwhile, calls `cleanup` with `argument`, which
// must neither raise nor throw.
template <class Body>
void with_error_cleanup(pg_on_exit_callback cleanup, Datum argument, Body &&body) {
    PG_ENSURE_ERROR_CLEANUP(cleanup, argument);
    { guarded(std::forward<Body>(body)); }
    PG_END_ENSURE_ERROR_CLEANUP(cleanup, argument);
}

// Runs `body` and then `last`, also when `body` failed; the failure goes on afterwards. `last` must
// neither raise nor throw.
template <class Body, class Last>
void with_last(Body &&body, Last &&last) {
    static_assert(std::is_trivially_destructible_v<std::remove_reference_t<Last>>);
    PG_TRY();
    { guarded(std::forward<Body>(body)); }
    PG_FINALLY();
    { last(); }
    PG_END_TRY();
}

// Runs `body`, which calls the server, where C++ objects are alive that an ERROR would jump over;
// gives the ERROR instead. For calls that leave nothing behind when they fail: unlike the end of a
// transaction this releases nothing. Locks that the caller holds stay held, and interrupts held
// off.
template <class Body>
PendingError caught(Body &&body) {
    // An ERROR resets these on its way, as if nothing were held any more.
    const uint32 interrupts = InterruptHoldoffCount;
    const uint32 cancels = QueryCancelHoldoffCount;
    MemoryContext const context = CurrentMemoryContext;
    // Not a plain PendingError, whose value after a jump would be undefined.
    struct {
        volatile bool raised = false;
    } outcome;
    PendingError error;
    PG_TRY();
    { guarded(std::forward<Body>(body)); }
    PG_CATCH();
    { outcome.raised = true; }
    PG_END_TRY();
    if (outcome.raised) {
        MemoryContextSwitchTo(context);
        InterruptHoldoffCount = interrupts;
        QueryCancelHoldoffCount = cancels;
        error = take_raised_error();
    }
    return error;
}

}  // namespace dvec::postgres
