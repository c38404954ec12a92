// How the engine reports failure. The engine runs inside a database server whose own error
// mechanism jumps over C++ frames, so nothing in the engine throws across a public interface: every
// operation that can fail returns a Status, or a Result that carries a value or a Status.
#pragma once

#include <cassert>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace dvec::base {

enum class Code : unsigned char {
    ok,
    invalid_argument,  // the caller broke a contract that is checked at run time
    not_found,         // a file or folder does not exist
    already_exists,    // a file or folder exists already
    io_error,          // the operating system refused an I/O operation
    no_space,          // the device or quota is full
    corrupt,           // bytes on disk contradict their checksum, bounds or each other
    mismatch,          // a file is sound but belongs to something else
    unsupported,       // a format version or option this build does not know
    out_of_memory,
    interrupted,     // the caller asked a long operation to stop
    stale,           // what was opened has been replaced: open it again
    limit_exceeded,  // a documented maximum was reached
    internal         // a broken invariant: a bug
};

// The outcome of an operation. Copyable, cheap when ok (no allocation).
class [[nodiscard]] Status {
  public:
    Status() noexcept = default;
    Status(Code code, std::string message) noexcept : code_(code), message_(std::move(message)) {}

    bool ok() const noexcept { return code_ == Code::ok; }
    Code code() const noexcept { return code_; }
    const std::string &message() const noexcept { return message_; }

    // The status for a failed system call: `what` names the operation and its object, as in
    // "could not open file \"x\""; the text of `error_number` is appended.
    static Status from_errno(int error_number, const std::string &what);

  private:
    Code code_ = Code::ok;
    std::string message_;
};

// A value, or the Status that says why there is none.
template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : value_(std::move(value)) {}
    Result(Status status) : status_(std::move(status)) { assert(!status_.ok()); }

    bool ok() const noexcept { return value_.has_value(); }
    const Status &status() const &noexcept { return status_; }
    Status status() &&noexcept { return std::move(status_); }

    // The value; only when ok().
    T &value() & {
        assert(ok());
        return *value_;
    }
    const T &value() const & {
        assert(ok());
        return *value_;
    }
    T &&value() && {
        assert(ok());
        return std::move(*value_);
    }

  private:
    std::optional<T> value_;
    Status status_;
};

// Thrown by Mutex::lock, which cannot return a Status, when the wait must end because the caller
// was asked to stop. guarded() turns it into Code::interrupted.
struct Interrupted : std::exception {
    const char *what() const noexcept override { return "interrupted"; }
};

// Runs `body` (which returns a Status or a Result) and turns what the standard library and hnswlib
// throw into a Status. Every public engine function that may allocate or calls hnswlib is wrapped
// in it.
template <class Body>
auto guarded(Body &&body) noexcept -> std::invoke_result_t<Body> {
    try {
        return std::forward<Body>(body)();
    } catch (const std::bad_alloc &) {
        return Status(Code::out_of_memory, std::string());
    } catch (const Interrupted &) {
        return Status(Code::interrupted, std::string());
    } catch (const std::exception &error) {
        try {
            return Status(Code::internal, error.what());
        } catch (...) {
            return Status(Code::out_of_memory, std::string());
        }
    }
}

// The Status of something that has failed. It is moved out of a Result, which is of no use any
// more.
inline const Status &failure_of(const Status &status) noexcept { return status; }
inline Status failure_of(Status &&status) noexcept { return std::move(status); }
template <class T>
Status failure_of(Result<T> &result) noexcept {
    return std::move(result).status();
}
template <class T>
Status failure_of(Result<T> &&result) noexcept {
    return std::move(result).status();
}

}  // namespace dvec::base

// Returns its Status from the enclosing function when `expression`, a Status or a Result, has
// failed.
#define DVEC_TRY(expression)                                                                 \
    do {                                                                                     \
        if (auto &&dvec_tried = (expression); !dvec_tried.ok())                              \
            return ::dvec::base::failure_of(std::forward<decltype(dvec_tried)>(dvec_tried)); \
    } while (0)
