// What an insert record carries besides the vector's bytes.
#pragma once

#include <cstdint>

#include "engine/graph/format.hpp"

namespace dvec::store {

// The first part of the payload of log::RecordType::insert; the vector follows.
struct PayloadHead {
    std::uint32_t block;
    std::uint16_t offset;
    std::uint16_t reserved;
};
static_assert(sizeof(PayloadHead) == 8);

constexpr PayloadHead make_payload_head(graph::Tid tid) { return {tid.block, tid.offset, 0}; }
constexpr graph::Tid payload_tid(PayloadHead head) { return {head.block, head.offset}; }

}  // namespace dvec::store
