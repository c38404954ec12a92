// How an index scan begins to search: in which files, by which conditions, in the order of which
// distance.
#pragma once

#include "postgres/am/scan_state.hpp"

namespace dvec::postgres {

// When the first row is asked for, and again after each restart of the scan. Raises what opening
// the index, conditions and operators raise.
void start_search(IndexScanDesc descriptor);

}  // namespace dvec::postgres
