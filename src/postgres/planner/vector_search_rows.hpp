// The rows of a VectorSearch: from the index, gathered or as they come, and from the exact search.
//
// Where it is known how many rows are going to be asked for, and they are few, they are gathered
// before the first is returned: if the index cannot supply them within the budget, the exact search
// starts from the beginning, and its answer is complete. Where that is not known (a join above) or
// rows are many, they are returned as they come. The exact search then goes on behind the index's
// last row, so the order is kept. In exact order that is all there is. As found, near rows that the
// walk has missed come at the very end, as they do from an index scan: what stands above (a join, a
// lock that skips rows) may need every row. Those that were returned are known by their TIDs, in so
// much memory as work_mem allows; when that is full, the exact search takes over. Where a query
// around this one takes the order from here (order_used_above), they are left out, as a LIMIT may
// miss them: out of order, they would be ranked, grouped and joined wrongly.
#pragma once

#include "postgres/planner/vector_search_state.hpp"

namespace dvec::postgres {

// Gathers the rows of the limit from the index, which becomes the source; the exact search becomes
// it where the index has too few and the exact search may have more.
void gather_rows(VectorSearchState *state);

// From its beginning, or behind what the index gave.
void change_to_exact(VectorSearchState *state, ExactPart part);

// The next row of the node's source, in a slot that is valid until the next call; null when there
// is none. The search has been started (start_vector_search).
TupleTableSlot *next_row(VectorSearchState *state);

// To be called for each row that the node returns, when it does.
void note_returned(VectorSearchState *state, const ItemPointerData &tid);

}  // namespace dvec::postgres
