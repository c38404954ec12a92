// How wide a search has to be to find a share of the nearest rows.
#pragma once

#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

// By what the worker has measured of the index, which it is asked to do where it has not yet; until
// then a careful number. `rows` are wanted.
int ef_for_target(Relation index, double recall, double rows);

// Has the worker measure an index that was just built, where its options have a target: its first
// search would ask for that.
void measure_if_targeted(Relation index);

}  // namespace dvec::postgres
