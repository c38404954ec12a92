// Work on an index whose files may be replaced at any moment, by a repair or to make them smaller.
// Who is in the middle of something then opens the index again and begins anew.
#pragma once

#include "postgres/bridge/errors.hpp"

namespace dvec::postgres {

enum class Attempt : unsigned char { done, files_replaced };

// Runs `operation`, which returns a Status. Raises that unless it is ok or Code::stale.
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
