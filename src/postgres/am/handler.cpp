// What the server asks first: which functions make up the access method, and what it can do.
#include "postgres/am/handler.hpp"

#include "postgres/am/build.hpp"
#include "postgres/am/opclass.hpp"
#include "postgres/am/options.hpp"
#include "postgres/am/phases.hpp"
#include "postgres/bridge/guard.hpp"

namespace dvec::postgres {

namespace {

IndexAmRoutine *make_routine() {
    IndexAmRoutine *routine = makeNode(IndexAmRoutine);
    // Zeroed by makeNode: everything not named is absent.
    routine->amsupport = support_function;
    routine->amcanorderbyop = true;
    routine->amoptionalkey = true;
    routine->amkeytype = InvalidOid;
    routine->amparallelvacuumoptions = VACUUM_OPTION_PARALLEL_BULKDEL;

    routine->ambuild = build_index;
    routine->ambuildempty = build_empty_index;
    routine->aminsert = insert;
    routine->ambulkdelete = bulk_delete;
    routine->amvacuumcleanup = vacuum_cleanup;
    routine->amcostestimate = estimate_cost;
    routine->amoptions = parse_index_options;
    routine->ambuildphasename = build_phase_name;
    routine->amvalidate = validate_opclass;
    routine->ambeginscan = begin_scan;
    routine->amrescan = rescan;
    routine->amgettuple = next_tuple;
    routine->amendscan = end_scan;
    return routine;
}

}  // namespace

DVEC_FUNCTION(hnswhandler) { PG_RETURN_POINTER(make_routine()); }

void access_method_init() {
    options_init();
    planner_init();
}

}  // namespace dvec::postgres
