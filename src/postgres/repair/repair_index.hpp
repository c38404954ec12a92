// The repair of an index, by whichever process has got hold of it.
#pragma once

#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

class RelationSource;

// Repairs an index that is in needs_repair. False when somebody else does so already, or has.
// Raises on failure; the index needs its repair then as before.
bool repair_index(IndexEntry *entry, uint64 incarnation, RelationSource &source);

}  // namespace dvec::postgres
