// Which relation a function takes that is called with the name of an index.
#pragma once

#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

// Raises unless it is an index of ours, valid, and with files of its own, which a partitioned one
// has not.
void require_own_index(Relation index);

}  // namespace dvec::postgres
