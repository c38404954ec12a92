// Which relation a function takes that is called with the name of an index.
#pragma once

#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

struct OwnIndex {
    Relation heap;  // null where the index's table is gone
    Relation index;
};

// Whether an index is one of ours. It is locked.
bool is_own_index(Oid index);

// Opens both with AccessShareLock. Raises unless it is an index of ours, valid, and with files of
// its own, which a partitioned one has not.
OwnIndex open_own_index(Oid index);
// Closes both and gives the locks back.
void close_own_index(const OwnIndex &own);

}  // namespace dvec::postgres
