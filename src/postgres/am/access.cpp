// Opening an index for whoever is called for it.
#include "postgres/am/access.hpp"

#include "postgres/am/index_source.hpp"
#include "postgres/am/options.hpp"

extern "C" {
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
    RelationSource source(index);
    return open_without_waiting(compat::file_name(index), source);
}

}  // namespace dvec::postgres
