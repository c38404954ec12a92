// How a failure of the C++ side becomes a PostgreSQL ERROR.
//
// ereport(ERROR) leaves by longjmp, which runs no destructor. A failure is therefore first copied
// into a PendingError, a plain value in palloc'd memory, and raised only where no C++ object is
// alive any more:
//
//     ok_or_raise([&] { return index.insert(row); });           // a Status
//     Handle *h = value_or_raise([&] { return open(path); });   // a Result
//         The Status or Result lives and dies inside the call. The caller, and every frame between
//         it and the guard (bridge/guard.hpp), must hold trivially destructible objects only.
//
//     throw pending_error(status);
//         For code that does hold C++ objects: they are destroyed on the way to the guard, and the
//         guard raises.
//
//     report(WARNING, pending_error(status));
//         Tells and goes on.
//
// Everything here runs on the thread that owns the backend, never on a helper thread.
#pragma once

#include <type_traits>
#include <utility>

#include "engine/base/status.hpp"
#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

// An error that has happened and is not yet raised. Copying it copies pointers: the texts are
// constants or belong to the memory context that was current when it was made. Also the type of
// exception the guard knows how to raise without loss.
struct PendingError {
    int sqlstate = 0;  // 0: no error
    const char *message = nullptr;
    const char *hint = nullptr;

    explicit operator bool() const noexcept { return sqlstate != 0; }
};
static_assert(std::is_trivially_destructible_v<PendingError>);

// Copies what `status` says; an ok status gives no error. Never raises: when memory is short the
// text is lost and the SQLSTATE stays. `status` may be destroyed afterwards. A temporary Status
// lives until the end of the full expression, so the result must be stored before it is raised.
PendingError pending_error(const base::Status &status) noexcept;

// The exception being handled, to be called in a catch block.
PendingError pending_exception() noexcept;

// The server's ERROR that was caught and not raised again: copies it into the current memory
// context and forgets it. Does not raise.
PendingError take_raised_error() noexcept;

// Sends `error` to the server's log and client at `level`; does nothing when there is no error.
// Below ERROR it returns, and leaves a pending cancel or shutdown to the next CHECK_FOR_INTERRUPTS,
// where a plain ereport would act on it; so it may be called with C++ objects alive. As ERROR, an
// interruption is raised by CHECK_FOR_INTERRUPTS itself, which words it (user request, statement
// timeout, shutdown).
void report(int level, const PendingError &error);

// report(ERROR), for an error that is there.
[[noreturn]] void raise_error(const PendingError &error);

// Whether a cancel or a shutdown waits for the next CHECK_FOR_INTERRUPTS. For the engine to poll:
// it neither raises nor jumps.
bool interruption_pending() noexcept;

// Runs `operation`, which returns a Status, and raises that unless it is ok.
template <class Operation>
void ok_or_raise(Operation &&operation) {
    const PendingError error = pending_error(std::forward<Operation>(operation)());
    if (error)
        raise_error(error);
}

// Runs `operation`, which returns a Result, and gives its value or raises its status.
template <class Operation>
auto value_or_raise(Operation &&operation) {
    PendingError error;
    {
        auto result = std::forward<Operation>(operation)();
        if (result.ok())
            return std::move(result).value();
        error = pending_error(result.status());
    }
    raise_error(error);
}

}  // namespace dvec::postgres
