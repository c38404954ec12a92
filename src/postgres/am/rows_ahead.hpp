// Has the table's pages that a scan is going to need brought nearer before the executor asks for
// their rows one by one.
#pragma once

#include "engine/graph/search.hpp"
#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

// `search` has just given the first of about `rows` rows. Pages of the others that are not in the
// buffer pool are requested from the operating system (unless effective_io_concurrency is 0), what
// is there from memory. Nothing is pinned or waited for.
void fetch_rows_ahead(Relation heap, const graph::Search &search, uint64 rows);

}  // namespace dvec::postgres
