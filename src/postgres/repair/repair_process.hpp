// The main of the background process that repairs one index (dvec_repair_main, which the launcher
// names), and what the dvec worker does in its place where the server has none to give.
#pragma once

#include "postgres/repair/launcher.hpp"

namespace dvec::postgres {

// Connects the calling process to the index's database, for good, and repairs it and whatever else
// is to be repaired there.
void repair_all_in_database(const OwnRepair &first);

}  // namespace dvec::postgres
