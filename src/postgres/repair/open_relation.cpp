// Opens an index for the callbacks of the access method.
#include "postgres/repair/open_relation.hpp"

#include "postgres/bridge/subtransaction.hpp"
#include "postgres/bridge/transactions.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/relation/options.hpp"
#include "postgres/repair/relation_source.hpp"
#include "postgres/runtime/following.hpp"

namespace dvec::postgres {

OpenIndex *open_relation(Relation index) {
    require_registry();
    if (RecoveryInProgress())
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("%s index \"%s\" cannot be used during recovery", method_name(index),
                        RelationGetRelationName(index)),
                 errhint("A standby's indexes are for its queries only, until its promotion.")));
    RelationSource source(index);
    return open_index(compat::file_name(index), source);
}

namespace {

// Whether a repair failed in the index's own expressions. Other errors (a resource was exhausted, a
// lock not available, a file damaged) are raised, and the next statement tries again.
bool lies_in_expressions(const PendingError &error) {
    switch (ERRCODE_TO_CATEGORY(error.sqlstate)) {
        case ERRCODE_TRANSACTION_ROLLBACK:
        case ERRCODE_INSUFFICIENT_RESOURCES:
        case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
        case ERRCODE_SYSTEM_ERROR:
        case ERRCODE_INTERNAL_ERROR:
            return false;
        default:
            return true;
    }
}

void warn_of_repair(Relation index, const PendingError &error) {
    ereport(
        WARNING,
        (errcode(error.sqlstate),
         errmsg("%s index \"%s\" cannot be repaired: %s", method_name(index),
                RelationGetRelationName(index), error.message),
         errdetail("Its expressions were run with search_path set to pg_catalog, pg_temp. Queries "
                   "are planned without the index."),
         errhint("Let the functions of its expressions name their search_path (ALTER FUNCTION ... "
                 "SET search_path), or REINDEX it.")));
}

}  // namespace

OpenIndex *open_for_writing(Relation index) {
    require_registry();
    const IndexFile file = compat::file_name(index);
    if (OpenIndex *open = find_open_index(file))
        return open;
    // In parallel mode there are no subtransactions, so a failed repair makes a VACUUM with
    // parallel workers fail. Autovacuum does not use them.
    if (IsInParallelMode())
        return is_left_to_rebuild(file) ? nullptr : open_relation(index);
    while (!is_left_to_rebuild(file)) {
        OpenIndex *open = nullptr;
        const PendingError error = attempted([&] { open = open_relation(index); });
        if (!error)
            return open;
        const Unrepaired now =
            lies_in_expressions(error) ? leave_to_rebuild(file) : Unrepaired::closed;
        if (now == Unrepaired::closed)
            raise_error(error);
        if (now == Unrepaired::left)
            warn_of_repair(index, error);
        CHECK_FOR_INTERRUPTS();
    }
    return nullptr;
}

bool can_be_searched(Relation index) {
    if (registry() == nullptr || (RecoveryInProgress() && most_pages_behind() == 0))
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
