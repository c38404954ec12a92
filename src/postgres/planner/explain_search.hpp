// What EXPLAIN (ANALYZE) says of a search: below VectorSearch on every server, and below a plain
// Index Scan from PostgreSQL 18 on, where an extension may add to what the server's nodes show.
#pragma once

#include "postgres/am/search_counts.hpp"
#include "postgres/bridge/executor.hpp"

namespace dvec::postgres {

void explain_search(const SearchCounts &counts, ExplainState *output);

// When the library is loaded.
void explain_search_init();

}  // namespace dvec::postgres
