// The server's headers for foreign tables, and for a plan node that waits for several of them at
// once.
#pragma once

#include "postgres/bridge/executor.hpp"

extern "C" {
#include "executor/execAsync.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "lib/binaryheap.h"
#include "storage/latch.h"
#include "utils/sortsupport.h"
}

namespace dvec::postgres::compat {

// A set that belongs to nobody but its owner, who must free it. `memory` is where the server keeps
// it before version 17.
inline WaitEventSet *new_wait_event_set([[maybe_unused]] MemoryContext memory, int events) {
#if PG_VERSION_NUM >= 170000
    return CreateWaitEventSet(nullptr, events);
#else
    return CreateWaitEventSet(memory, events);
#endif
}

}  // namespace dvec::postgres::compat
