// How many rows of an index scan the query wants.
#pragma once

#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

// Taken where the number is not known: most queries want fewer, and what suffices for these
// suffices for fewer, too.
inline constexpr double unknown_rows = 100;

struct RowsWanted {
    // As the query's LIMIT says, with its OFFSET; 0 where there is none.
    double by_limit = 0;
    // So many the scan will be asked for: more than the LIMIT, where filters take some of them
    // away.
    double of_scan = unknown_rows;
};

// As the LIMIT says that is above the scan in the running query, and with what the planner thinks
// that filters between the two take away. To be called when the first row is asked for.
RowsWanted rows_wanted(IndexScanDesc scan);

}  // namespace dvec::postgres
