// Requests the pages that vectors will be read from in the table, before they are read one after
// the other: where the table is not in memory, a disk reads several in the time of one.
#pragma once

#include "engine/graph/search.hpp"
#include "postgres/am/heap_row_reader.hpp"

namespace dvec::postgres {

// To be called when the first of about `rows` rows of `search`, which is at `first`, is to be
// measured by `reader`. Pages of the rows are requested as by fetch_rows_ahead; if this process has
// lately read from the disk, those of vectors that are stored out of line, too, for which the rows
// are read. Does nothing if effective_io_concurrency is 0. May raise an error.
void fetch_values_ahead(HeapRowReader *reader, const graph::Search &search, graph::Tid first,
                        uint64 rows);

}  // namespace dvec::postgres
