// The one table from engine codes to SQLSTATEs and hints, and the one ereport for what C++ reports.
#include "postgres/bridge/errors.hpp"

#include <exception>
#include <new>

namespace dvec::postgres {
namespace {

// Longer texts are cut: an error must not fail for the size of its message.
constexpr std::size_t max_message_bytes = 4096;

constexpr const char *rebuild_hint = "The table is not affected. Rebuild the index with REINDEX.";
constexpr const char *no_space_hint =
    "Free space on the file system that holds the data directory, then try again.";

PendingError describe(base::Code code) noexcept {
    using base::Code;
    const auto error = [](int sqlstate, const char *message, const char *hint = nullptr) {
        return PendingError{sqlstate, message, hint};
    };
    switch (code) {
        case Code::ok:
            return {};
        case Code::invalid_argument:
            return error(ERRCODE_INVALID_PARAMETER_VALUE, "invalid argument");
        case Code::not_found:
            return error(ERRCODE_UNDEFINED_FILE, "file not found");
        case Code::already_exists:
            return error(ERRCODE_DUPLICATE_FILE, "file already exists");
        case Code::io_error:
            return error(ERRCODE_IO_ERROR, "input/output error");
        case Code::no_space:
            return error(ERRCODE_DISK_FULL, "no space left on device", no_space_hint);
        case Code::corrupt:
            return error(ERRCODE_INDEX_CORRUPTED, "index is corrupted", rebuild_hint);
        case Code::mismatch:
            return error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                         "index files belong to another index", rebuild_hint);
        case Code::unsupported:
            return error(ERRCODE_FEATURE_NOT_SUPPORTED, "not supported");
        case Code::out_of_memory:
            return error(ERRCODE_OUT_OF_MEMORY, "out of memory");
        case Code::interrupted:
            return error(ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
        case Code::stale:
            return error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                         "index files have been replaced");
        case Code::limit_exceeded:
            return error(ERRCODE_PROGRAM_LIMIT_EXCEEDED, "limit exceeded");
        case Code::internal:
            break;
    }
    return error(ERRCODE_INTERNAL_ERROR, "internal error");
}

// `fallback` stands in for an empty text, and for any text once memory is exhausted.
const char *keep_text(const char *text, std::size_t length, const char *fallback) noexcept {
    if (length == 0)
        return fallback;
    if (length > max_message_bytes)
        length = pg_mbcliplen(text, max_message_bytes, max_message_bytes);
    void *copy = MemoryContextAllocExtended(CurrentMemoryContext, length + 1, MCXT_ALLOC_NO_OOM);
    if (copy == nullptr)
        return fallback;
    std::memcpy(copy, text, length);
    static_cast<char *>(copy)[length] = '\0';
    return static_cast<const char *>(copy);
}

}  // namespace

PendingError pending_error(const base::Status &status) noexcept {
    PendingError error = describe(status.code());
    if (error)
        error.message = keep_text(status.message().data(), status.message().size(), error.message);
    return error;
}

PendingError pending_exception() noexcept {
    try {
        throw;
    } catch (const PendingError &error) {
        return error;
    } catch (const std::bad_alloc &) {
        return describe(base::Code::out_of_memory);
    } catch (const base::Interrupted &) {
        return describe(base::Code::interrupted);
    } catch (const std::exception &exception) {
        PendingError error = describe(base::Code::internal);
        error.message = keep_text(exception.what(), std::strlen(exception.what()), error.message);
        return error;
    } catch (...) {
        return describe(base::Code::internal);
    }
}

PendingError take_raised_error() noexcept {
    PendingError error = describe(base::Code::internal);
    error.sqlstate = geterrcode();
    // Copying takes memory, which may be what there was none of.
    volatile bool copied = false;
    ErrorData *volatile data = nullptr;
    PG_TRY();
    {
        data = CopyErrorData();
        copied = true;
    }
    PG_CATCH();
    {}
    PG_END_TRY();
    FlushErrorState();
    if (!copied)
        return error;
    if (data->message != nullptr)
        error.message = data->message;
    error.hint = data->hint;
    return error;
}

void report(int level, const PendingError &error) {
    if (!error)
        return;
    if (level >= ERROR && error.sqlstate == ERRCODE_QUERY_CANCELED)
        CHECK_FOR_INTERRUPTS();
    // Every ereport ends by looking for interrupts, unless they are held; an ERROR lets go of them
    // by itself. (HOLD_INTERRUPTS, without the ++ of a volatile that C++20 deprecates.)
    InterruptHoldoffCount = InterruptHoldoffCount + 1;
    ereport(level, (errcode(error.sqlstate), errmsg_internal("%s", error.message),
                    error.hint != nullptr ? errhint("%s", error.hint) : 0));
    InterruptHoldoffCount = InterruptHoldoffCount - 1;
}

void raise_error(const PendingError &error) {
    report(ERROR, error);
    elog(ERROR, "no error to raise");
    pg_unreachable();
}

bool interruption_pending() noexcept {
    return InterruptPending && (QueryCancelPending || ProcDiePending);
}

}  // namespace dvec::postgres
