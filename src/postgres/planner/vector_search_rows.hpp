// The rows of a VectorSearch: from the index, gathered or as they come, and from the exact search.
//
// Where it is known how many rows are going to be asked for, and they are few, they are gathered
// before the first is returned: if the index cannot supply them within the budget, the exact search
// starts from the beginning, and its answer is complete. Where that is not known (a join above) or
// rows are many, they are returned as they come. The exact search then continues where the index
// scan stopped: it skips rows nearer than the last row of the index, and those already returned. In
// exact order no row is lost by that. As found, a near row that the walk missed is.
#pragma once

#include "postgres/planner/vector_search_state.hpp"

namespace dvec::postgres {

// Gathers the rows of the limit from the index, which becomes the source; the exact search becomes
// it where the index has too few and the exact search may have more.
void gather_rows(VectorSearchState *state);

// From its beginning, or behind what the index gave.
enum class ExactPart : bool { all, behind_index };
void change_to_exact(VectorSearchState *state, ExactPart part);

// The next row of the node's source, in a slot that is valid until the next call; null when there
// is none. The search has been started (start_vector_search).
TupleTableSlot *next_row(VectorSearchState *state);

}  // namespace dvec::postgres
