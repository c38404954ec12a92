// How a process in the background gets hold of an index that it knows by its file only.
#pragma once

#include "postgres/bridge/access_method.hpp"
#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

// Finds and locks the index and, before it, its table, both against being dropped; null and a
// reason when that is not possible at once. In a transaction, whose end gives the locks back.
Relation lock_index(const IndexFile &file, const char **reason);

}  // namespace dvec::postgres
