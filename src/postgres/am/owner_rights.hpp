// An index's expressions are its table's owner's code. Whoever has them run must not lend them his
// own rights.
#pragma once

#include "postgres/bridge/access_method.hpp"

extern "C" {
#include "miscadmin.h"
#include "utils/guc.h"
}

namespace dvec::postgres {

// Runs `body` with the rights of the table's owner; what it sets is undone. All of it is restored
// by the end of the transaction too, should an ERROR intervene.
template <class Body>
void with_owner_rights(Relation heap, Body body) {
    Oid user;
    int security_context;
    GetUserIdAndSecContext(&user, &security_context);
    SetUserIdAndSecContext(heap->rd_rel->relowner,
                           security_context | SECURITY_RESTRICTED_OPERATION);
    const int settings_level = NewGUCNestLevel();
    body();
    AtEOXact_GUC(false, settings_level);
    SetUserIdAndSecContext(user, security_context);
}

}  // namespace dvec::postgres
