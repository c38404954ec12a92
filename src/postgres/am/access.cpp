// Opening an index for whoever is called for it.
#include "postgres/am/access.hpp"

#include "postgres/am/index_source.hpp"
#include "postgres/am/options.hpp"
#include "postgres/bridge/subtransaction.hpp"

extern "C" {
#include "access/xact.h"
#include "access/xlog.h"
}

namespace dvec::postgres {

OpenIndex *open_relation(Relation index) {
    require_registry();
    if (RecoveryInProgress())
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("%s index \"%s\" cannot be used during recovery", method_name(index),
                        RelationGetRelationName(index)),
                 errhint("On a standby queries use the exact search. Its indexes are brought up to "
                         "date after its promotion.")));
    RelationSource source(index);
    return open_index(compat::file_name(index), source);
}

bool can_be_searched(Relation index) {
    if (registry() == nullptr || RecoveryInProgress())
        return false;
    const IndexFile file = compat::file_name(index);
    if (!wants_opening(file))
        return may_be_planned(file);
    if (IsInParallelMode())
        return false;
    bool searchable = false;
    const PendingError error = attempted([&] {
        RelationSource source(index);
        searchable = open_without_waiting(file, source);
    });
    if (!error)
        return searchable;
    put_off_opening(file);
    ereport(WARNING, (errcode(error.sqlstate),
                      errmsg("%s index \"%s\" cannot be used: %s", method_name(index),
                             RelationGetRelationName(index), error.message),
                      errdetail("Queries are planned without it."),
                      error.hint != nullptr ? errhint("%s", error.hint) : 0));
    return false;
}

}  // namespace dvec::postgres
