// A search on a standby: the index as far as it has followed, and the pages that it is behind by,
// read in the table.
#pragma once

#include "postgres/am/heap_rows.hpp"
#include "postgres/runtime/open_index.hpp"

namespace dvec::postgres {

// Where a search finds its rows.
struct SearchPlace {
    OpenIndex *open;  // null: in the table alone. Valid until the next open_index()
    HeapRows *rows;   // null: in the index alone
};

// For a scan that begins now, whose snapshot was taken before. In the current memory context.
// Every row that the snapshot sees, and that has a place in the index, is in one of the two: in
// `rows`, or in the index on a page that these do not cover. That holds for as long as the scan
// lasts, if its search begins before anything else happens. Raises what reading the table raises.
SearchPlace find_on_standby(IndexScanDesc scan);

}  // namespace dvec::postgres
