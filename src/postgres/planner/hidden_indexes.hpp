// Hides indexes that cannot be used now from the planner: without the registry, and
// while one is opened or repaired.
#pragma once

namespace dvec::postgres {

// Sets the hook; called when the library is loaded.
void hidden_indexes_init();

}  // namespace dvec::postgres
