// As procedural languages do for a block with an exception handler.
#include "postgres/bridge/subtransaction.hpp"

extern "C" {
#include "access/xact.h"
}

namespace dvec::postgres {

AroundSubtransaction begin_subtransaction() {
    const AroundSubtransaction around{CurrentMemoryContext, CurrentResourceOwner};
    BeginInternalSubTransaction(nullptr);
    // What is allocated in it, the text of an error included, is for those outside.
    MemoryContextSwitchTo(around.context);
    return around;
}

void commit_subtransaction(const AroundSubtransaction &around) {
    ReleaseCurrentSubTransaction();
    MemoryContextSwitchTo(around.context);
    CurrentResourceOwner = around.owner;
}

void roll_back_subtransaction(const AroundSubtransaction &around) {
    RollbackAndReleaseCurrentSubTransaction();
    MemoryContextSwitchTo(around.context);
    CurrentResourceOwner = around.owner;
}

bool ends_statement(const PendingError &error) noexcept {
    return ERRCODE_TO_CATEGORY(error.sqlstate) == ERRCODE_OPERATOR_INTERVENTION;
}

}  // namespace dvec::postgres
