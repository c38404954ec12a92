// The rows of an index scan, one after the other: those of the index, merged on a standby with
// those of the pages that it is behind by, for as long as the scan's terms and its guide want more.
#pragma once

#include <optional>

#include "postgres/am/scan_state.hpp"

namespace dvec::postgres {

// The next row of a search that was started; none at the end, and then the guide knows why.
std::optional<graph::Hit> next_hit(OpenScan *scan);

}  // namespace dvec::postgres
