// The border that PostgreSQL crosses when it calls C++.
//
// PostgreSQL reports errors by longjmp, C++ by exceptions. An exception that reaches a C frame ends
// the server process; a longjmp past a living C++ object skips its destructor, which is undefined
// and leaks. Two rules keep both from happening:
//
//   1. PostgreSQL calls C++ only through a guard: DVEC_FUNCTION for functions known to SQL,
//      `guarded` for callbacks, hooks and worker entry points. The guard raises an exception as an
//      ERROR after the unwinding is over.
//   2. Code that may ereport, which is nearly all of the server's API, is called only where every
//      object alive, up to the guard, is trivially destructible: pointers, numbers, plain structs,
//      palloc'd memory. What must outlive such calls is held by pointer and released by the
//      server's own means (bridge/cleanup.hpp, a memory context callback).
#pragma once

#include <type_traits>
#include <utility>

#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/function_lookup.hpp"
#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

// Runs `body` and returns its result; what it throws is raised as an ERROR, a PendingError with all
// it says. Lambdas that capture by reference or by plain value qualify as bodies.
template <class Body>
auto guarded(Body &&body) -> std::invoke_result_t<Body> {
    static_assert(std::is_trivially_destructible_v<std::remove_reference_t<Body>>,
                  "an ERROR in the body would skip the destructor of what it captures");
    PendingError error;
    // An exception passes by whatever the server does at the end of its own frames, so none may fly
    // through one that catches errors. Should one do so all the same, errors must not jump into it.
    sigjmp_buf *const exception_stack = PG_exception_stack;
    ErrorContextCallback *const context_stack = error_context_stack;
    try {
        return std::forward<Body>(body)();
    } catch (...) {
        error = pending_exception();
    }
    PG_exception_stack = exception_stack;
    error_context_stack = context_stack;
    raise_error(error);
}

}  // namespace dvec::postgres

// Defines a function that SQL can call with LANGUAGE C, as the library's symbol `dvec_<name>`; what
// follows in braces is its body, with `fcinfo` in scope for the PG_GETARG and PG_RETURN macros:
//
//     DVEC_FUNCTION(vector_dims) {
//         PG_RETURN_INT32(vector_argument(fcinfo, 0)->dimensions);
//     }
//
// The server loads libraries into one global namespace, where the symbol that comes first serves
// all: without the prefix pgvector's library would call ours where it means its own. And
// `dvec_<name>` is for the server's lookup; our own code never calls it. The server asks for
// pg_finfo_dvec_<name> when a session looks the function up for the first time: that shows a
// database that has our types.
#define DVEC_FUNCTION(name) DVEC_FUNCTION_NOTING(name, ::dvec::postgres::note_function_lookup())

// The same for a function that a database with pgvector's types has as well.
#define DVEC_COMMON_FUNCTION(name) DVEC_FUNCTION_NOTING(name, static_cast<void>(0))

#define DVEC_FUNCTION_NOTING(name, note)                                            \
    extern "C" {                                                                    \
    PGDLLEXPORT Datum dvec_##name(FunctionCallInfo fcinfo);                         \
    PGDLLEXPORT const Pg_finfo_record *pg_finfo_dvec_##name(void);                  \
    const Pg_finfo_record *pg_finfo_dvec_##name(void) {                             \
        static const Pg_finfo_record version_1 = {1};                               \
        note;                                                                       \
        return &version_1;                                                          \
    }                                                                               \
    }                                                                               \
    static Datum name##_body(FunctionCallInfo fcinfo);                              \
    extern "C" Datum dvec_##name(FunctionCallInfo fcinfo) {                         \
        return ::dvec::postgres::guarded([fcinfo] { return name##_body(fcinfo); }); \
    }                                                                               \
    static Datum name##_body([[maybe_unused]] FunctionCallInfo fcinfo)
