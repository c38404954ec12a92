// Work that may fail while the statement around it goes on.
#pragma once

#include <utility>

#include "postgres/bridge/cleanup.hpp"

extern "C" {
#include "utils/resowner.h"
}

namespace dvec::postgres {

// What `attempted` leaves and comes back to.
struct AroundSubtransaction {
    MemoryContext context;
    ResourceOwner owner;
};
AroundSubtransaction begin_subtransaction();
void commit_subtransaction(const AroundSubtransaction &around);
void roll_back_subtransaction(const AroundSubtransaction &around);

// Whether `error` says that the whole statement is to end.
bool ends_statement(const PendingError &error) noexcept;

// Runs `body` in a subtransaction, whose end releases what `body` had in its hands when it failed.
// Gives its ERROR; a cancel or a shutdown is raised. Not in parallel mode, where the server has no
// subtransactions.
template <class Body>
PendingError attempted(Body &&body) {
    const AroundSubtransaction around = begin_subtransaction();
    const PendingError error = caught(std::forward<Body>(body));
    if (!error) {
        commit_subtransaction(around);
        return error;
    }
    roll_back_subtransaction(around);
    if (ends_statement(error))
        raise_error(error);
    return error;
}

}  // namespace dvec::postgres
