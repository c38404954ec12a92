// Work on an index whose files may be replaced at any moment, by a repair or a compaction. A
// process that is in the middle of something then has to open the index again and start over.
#pragma once

#include "postgres/bridge/errors.hpp"

namespace dvec::postgres {

enum class Attempt : unsigned char { done, files_replaced };

// Runs `operation`, which returns a Status. A failure other than Code::stale is raised.
template <class Operation>
Attempt attempt(Operation &&operation) {
    PendingError error;
    {
        const base::Status status = std::forward<Operation>(operation)();
        if (status.code() == base::Code::stale)
            return Attempt::files_replaced;
        error = pending_error(status);
    }
    if (error)
        raise_error(error);
    return Attempt::done;
}

}  // namespace dvec::postgres
