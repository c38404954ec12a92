// The first step of making an index agree with its table, when its files cannot be believed.
#pragma once

#include <cstdint>

#include "engine/store/index.hpp"

namespace dvec::store {

// Verifies the payload of every node below `end`. One that is damaged becomes a hole, since neither
// its TID nor its vector can be believed. Returns how many there were. Nobody else may add or
// remove entries meanwhile. `interrupted` is polled; Code::interrupted then.
base::Result<std::uint64_t> drop_damaged(Index &index, graph::NodeId end, bool (*interrupted)());

}  // namespace dvec::store
