// Which life of its file number an index is of (runtime/registry.hpp).
#pragma once

#include "postgres/bridge/access_method.hpp"
#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

// The file of the index's main fork; all zero where it cannot be looked at.
base::FileIdentity storage_of(Relation index);

// Kept with the server's description of the index, so it costs nothing again. Raises as
// read_metapage() does.
Life life_of(Relation index);
// For who gives an index that is open another identity.
void forget_life(Relation index) noexcept;

}  // namespace dvec::postgres
