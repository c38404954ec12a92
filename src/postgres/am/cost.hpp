// What the planner is told about scans by this access method, beyond the method's own estimate.
#pragma once

#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

// The cost of measuring every row of an index and putting them in order, before the first comes.
Cost exact_order_cost(const IndexOptInfo *index);

}  // namespace dvec::postgres
