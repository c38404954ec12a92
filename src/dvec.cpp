// The module's entry: what happens when the server loads dvec. Each line hands over to the part
// that knows; nothing is decided here.
#include "postgres/am/handler.hpp"
#include "postgres/bridge/extension.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/running_query.hpp"
#include "postgres/planner/hidden_indexes.hpp"
#include "postgres/planner/paths.hpp"
#include "postgres/runtime/log_sync.hpp"
#include "postgres/runtime/registry.hpp"
#include "postgres/runtime/settings.hpp"
#include "postgres/worker/worker_main.hpp"

extern "C" {
PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void _PG_init(void) {
    using namespace dvec::postgres;
    // Before the prefix of settings is closed by settings::init().
    access_method_init();
    settings::init();
    hidden_indexes_init();
    paths_init();
    extension_init();
    running_query_init();
    // Shared memory and workers can only be had while the server starts. Without them the types and
    // the exact search work, and using an index says what to set.
    if (!process_shared_preload_libraries_in_progress) {
        warn_without_registry();
        return;
    }
    registry_init();
    commit_sync_init();
    worker_init();
}
}
