// The main of the background process that repairs one index (dvec_repair_main, which the launcher
// names), and the function by which the dvec worker does the same when the server has no slot for a
// background worker.
#pragma once

#include "postgres/repair/launcher.hpp"

namespace dvec::postgres {

// Connects the calling process to the index's database, for good, and repairs it and whatever else
// is to be repaired there.
void repair_all_in_database(const OwnRepair &first);

}  // namespace dvec::postgres
