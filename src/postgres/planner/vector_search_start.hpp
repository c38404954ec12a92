// How a VectorSearch begins: how many rows are wanted, between which distances, in which order, and
// so from which of its children the first rows come.
#pragma once

#include "postgres/planner/vector_search_state.hpp"

namespace dvec::postgres {

// When the first row is asked for, with the present values of parameters: chooses the source, and
// where the rows are to be gathered, gathers them. Raises what evaluating and searching raise.
void start_vector_search(VectorSearchState *state);

}  // namespace dvec::postgres
