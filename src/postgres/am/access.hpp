// How the parts of the access method get hold of the index they are called for.
#pragma once

#include "postgres/bridge/access_method.hpp"
#include "postgres/worker/open_index.hpp"

namespace dvec::postgres {

// The engine's handle on an index; recovers or rebuilds its sidecar first where that is needed.
// Raises on failure. Valid until the next call, and longer while pinned.
OpenIndex *open_relation(Relation index);

}  // namespace dvec::postgres
