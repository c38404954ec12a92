// The query that the executor is running, for code that it calls without telling.
#pragma once

#include "postgres/bridge/executor.hpp"

namespace dvec::postgres {

// The state of the innermost query's plan; null outside of the executor, and where it runs a part
// of a plan by itself, as after a concurrent update.
PlanState *running_plan() noexcept;

// Sets the hook; called when the library is loaded.
void running_query_init();

}  // namespace dvec::postgres
