// The expressions of an index are code of its table's owner. A user who causes them to run must not
// lend them their own rights, and must not decide what the names in them refer to: if they ran as
// the owner but with the search_path of the user who inserts a row, they could be made to call
// functions of that user. So they run as the owner, and only names in pg_catalog are found without
// a schema, as in PostgreSQL's own maintenance commands from version 17 on. A function that needs
// another path can set it (CREATE FUNCTION ... SET search_path).
#pragma once

#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/shared_memory.hpp"

namespace dvec::postgres {

inline void tell_search_path(void *index) {
    errcontext("reading the table of index \"%s\", with search_path set to pg_catalog, pg_temp",
               RelationGetRelationName(static_cast<Relation>(index)));
}

// Runs `body` with the rights of the owner of the table `heap` of `index`; what it sets is undone.
// All of it is restored by the end of the transaction too, should an ERROR intervene.
template <class Body>
void with_owner_rights(Relation heap, Relation index, Body body) {
    Oid user;
    int security_context;
    GetUserIdAndSecContext(&user, &security_context);
    SetUserIdAndSecContext(heap->rd_rel->relowner,
                           security_context | SECURITY_RESTRICTED_OPERATION);
    const int settings_level = NewGUCNestLevel();
    compat::restrict_search_path();
    ErrorContextCallback context{};
    context.previous = error_context_stack;
    context.callback = tell_search_path;
    context.arg = index;
    error_context_stack = &context;
    body();
    error_context_stack = context.previous;
    AtEOXact_GUC(false, settings_level);
    SetUserIdAndSecContext(user, security_context);
}

}  // namespace dvec::postgres
