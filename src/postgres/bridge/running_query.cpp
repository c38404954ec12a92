#include "postgres/bridge/running_query.hpp"

#include "postgres/bridge/cleanup.hpp"

namespace dvec::postgres {

namespace {

ExecutorRun_hook_type previous_run_hook = nullptr;
QueryDesc *running = nullptr;

// What else the hook is given differs between versions of the server.
template <class... More>
void run_query(QueryDesc *query, ScanDirection direction, uint64 count, More... more) {
    const auto run = previous_run_hook != nullptr ? previous_run_hook : standard_ExecutorRun;
    QueryDesc *const outer = running;
    running = query;
    with_last([=] { run(query, direction, count, more...); }, [=] { running = outer; });
}

}  // namespace

PlanState *running_plan() noexcept { return running == nullptr ? nullptr : running->planstate; }

void running_query_init() {
    previous_run_hook = ExecutorRun_hook;
    ExecutorRun_hook = run_query;
}

}  // namespace dvec::postgres
