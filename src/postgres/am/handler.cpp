// The handler functions of the access methods, which tell the server what they can do and which
// callbacks to use.
#include "postgres/am/handler.hpp"

#include "postgres/am/callbacks.hpp"
#include "postgres/am/last_searches.hpp"
#include "postgres/am/scan_settings.hpp"
#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/keys/key_support.hpp"
#include "postgres/relation/opclass.hpp"
#include "postgres/relation/options.hpp"
#include "postgres/relation/own_method.hpp"

namespace dvec::postgres {

namespace {

// Tells users who restore a dump or run a migration what they get. Not repeated when the index is
// rebuilt.
void tell_what_is_built(Relation index) {
    if (ReindexIsProcessingIndex(RelationGetRelid(index)))
        return;
    ereport(NOTICE, (errmsg("ivfflat index \"%s\" is built as an hnsw graph",
                            RelationGetRelationName(index)),
                     errdetail("dvec has no inverted files. The option \"lists\" is kept and does "
                               "not change the graph.")));
}

IndexBuildResult *build_ivfflat(Relation heap, Relation index, IndexInfo *index_info) {
    guarded([=] { tell_what_is_built(index); });
    return build_index(heap, index, index_info);
}

// What the method says to the server and to whoever asks for its properties differ in this.
bool property(Oid, int, IndexAMProperty asked, const char *, bool *result, bool *) {
    if (asked != AMPROP_CAN_INCLUDE)
        return false;
    *result = false;
    return true;
}

IndexAmRoutine *make_routine(Method method) {
    IndexAmRoutine *routine = makeNode(IndexAmRoutine);
    // Zeroed by makeNode: everything not named is absent, on every version. Version 18 also asks
    // what the comparisons of an operator family have in common; of ours nothing is claimed.
    routine->amsupport = key_support_function;
    routine->amcanorderbyop = true;
    routine->amcanmulticol = true;
    routine->amoptionalkey = true;
    routine->amsearcharray = true;
    routine->amsearchnulls = true;
    // There are none: check_key_columns() refuses them and says what to write, which the server
    // would not.
    routine->amcaninclude = true;
    routine->amkeytype = InvalidOid;
    routine->amparallelvacuumoptions = VACUUM_OPTION_PARALLEL_BULKDEL;

    routine->ambuild = method == Method::hnsw ? build_index : build_ivfflat;
    routine->ambuildempty = build_empty_index;
    routine->aminsert = insert;
    routine->ambulkdelete = bulk_delete;
    routine->amvacuumcleanup = vacuum_cleanup;
    routine->amcostestimate = estimate_cost;
    routine->amoptions = method == Method::hnsw ? parse_hnsw_options : parse_ivfflat_options;
    routine->ambuildphasename = build_phase_name;
    routine->amproperty = property;
    routine->amvalidate = validate_opclass;
    routine->ambeginscan = begin_scan;
    routine->amrescan = rescan;
    routine->amgettuple = next_tuple;
    routine->amendscan = end_scan;
    return routine;
}

}  // namespace

// The access method dvec exists in every database. In those with our own types it has pgvector's
// name, hnsw, as well.
// That a session looks these up does not show that it uses our types: from version 18 on the
// planner asks the access methods of all families that an operator is in, and `<` of text is in
// some of ours.
DVEC_COMMON_FUNCTION(handler) { PG_RETURN_POINTER(make_routine(Method::hnsw)); }
DVEC_COMMON_FUNCTION(hnswhandler) { PG_RETURN_POINTER(make_routine(Method::hnsw)); }
DVEC_COMMON_FUNCTION(ivfflathandler) { PG_RETURN_POINTER(make_routine(Method::ivfflat)); }

void access_method_init() {
    options_init();
    scan_settings_init();
    last_searches_init();
}

}  // namespace dvec::postgres
