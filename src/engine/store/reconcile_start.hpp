// The first step of making an index agree with its table: what cannot be believed of its nodes
// goes.
#pragma once

#include <cstdint>

#include "engine/store/index.hpp"
#include "engine/store/repair.hpp"

namespace dvec::store {

struct ReconcileStart {
    graph::NodeId end;      // ids below are given out
    std::uint64_t damaged;  // nodes whose payload was not sound
};

// Makes `index` ready to be written, and with Repair::every_page verifies the payload of each node.
// One that is damaged becomes a hole, since neither its TID nor its vector can be believed. With
// Repair::none the files are sound and may be searched; otherwise hints are set anew. Nobody else
// may add or remove entries meanwhile. `interrupted` is polled; Code::interrupted then.
base::Result<ReconcileStart> start_reconcile(Index &index, Repair repair, bool (*interrupted)());

}  // namespace dvec::store
