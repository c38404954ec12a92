// How many rows of an index scan the query wants.
#pragma once

#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

// Taken where the number is not known: most queries want fewer, and what suffices for these
// suffices for fewer, too.
inline constexpr double unknown_rows = 100;

// As the LIMIT says that is above the scan in the running query, with its OFFSET, and with what
// the planner thinks that filters between the two take away. To be called when the first row is
// asked for.
double rows_wanted(IndexScanDesc scan);

}  // namespace dvec::postgres
