// dvec_prewarm(): reads an index into memory, as pg_prewarm does a table.
#include "postgres/am/attempt.hpp"
#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/relation/own_index.hpp"
#include "postgres/repair/open_relation.hpp"

namespace dvec::postgres {

namespace {

// SELECT permission on the table suffices.
void require_select(Oid heap) {
    if (const AclResult result = pg_class_aclcheck(heap, GetUserId(), ACL_SELECT);
        result != ACLCHECK_OK)
        aclcheck_error(result, get_relkind_objtype(get_rel_relkind(heap)), get_rel_name(heap));
}

uint64 bring_in(Relation index) {
    uint64 bytes = 0;
    for (;;) {
        const OpenIndex *open = open_relation(index);
        const Attempt attempted = attempt([&]() -> base::Status {
            const auto brought = open->index->bring_in(interruption_pending);
            if (brought.ok())
                bytes = brought.value();
            return brought.status();
        });
        if (attempted == Attempt::done)
            return bytes;
        CHECK_FOR_INTERRUPTS();
    }
}

}  // namespace

DVEC_COMMON_FUNCTION(prewarm) {
    require_registry();
    const OwnIndex own = open_own_index(PG_GETARG_OID(0));
    require_select(own.index->rd_index->indrelid);
    const uint64 bytes = bring_in(own.index);
    close_own_index(own);
    PG_RETURN_INT64(static_cast<int64>(bytes));
}

}  // namespace dvec::postgres
