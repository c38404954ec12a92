// Prefetches the table's pages that a scan is going to need, before the executor fetches their rows
// one by one.
#pragma once

#include "engine/graph/search.hpp"
#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

// To be called when `search` has just returned the first of about `rows` rows. Of the pages of the
// other rows, those in the buffer pool are prefetched from memory; the others are requested from
// the operating system. Does nothing if effective_io_concurrency is 0. Pins nothing and does not
// wait.
void fetch_rows_ahead(Relation heap, const graph::Search &search, uint64 rows);

}  // namespace dvec::postgres
