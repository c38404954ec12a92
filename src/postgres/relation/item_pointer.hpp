// The TID of a heap row, as the server and as the engine writes it.
#pragma once

#include "engine/graph/format.hpp"
#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

inline graph::Tid engine_tid(ItemPointer tid) {
    return {ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid)};
}

inline ItemPointerData item_pointer(graph::Tid tid) {
    ItemPointerData pointer;
    ItemPointerSet(&pointer, tid.block, tid.offset);
    return pointer;
}

}  // namespace dvec::postgres
