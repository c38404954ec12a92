// The planner's part: which ways of reading a table in order of distance a query gets to choose
// from.
#pragma once

namespace dvec::postgres {

// Installs the hooks and makes VectorSearch known.
void paths_init();

}  // namespace dvec::postgres
