// How many rows of an index scan the query wants.
#pragma once

#include <algorithm>

#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/executor.hpp"

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

// Of so many rows that pass filters, as such a share does; filters are not taken to need more than
// a thousand rows: a search goes on by itself where they do.
inline double with_filters(double rows, double passing) {
    constexpr double most_for_filters = 1000;
    return std::max(rows, std::min(most_for_filters, rows / passing));
}

// The LIMIT that is above a scan in the running query; null where there is none. How many rows it
// asks for may change from rescan to rescan, its place does not: it is looked for once.
struct LimitAbove {
    const LimitState *limit = nullptr;
    double passing = get_float8_infinity();  // rows of the scan's table pass the filters between
    double scans = 1;                        // of which the rows are merged
};

// To be called when the first row is asked for; holds for as long as the scan does.
LimitAbove limit_above(IndexScanDesc scan);

// As the LIMIT says, and with what the planner thinks that filters take away of the index's rows.
RowsWanted rows_wanted(const LimitAbove &above, Relation index);

}  // namespace dvec::postgres
