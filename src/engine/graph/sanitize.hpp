// Makes the links of a graph sound when its files cannot be trusted: after a crash of the machine,
// a restore, or damage. Searches and the linker survive any bytes in a link list; this saves them
// from following links that lead nowhere, and gives places back to rows that have lost theirs.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/base/status.hpp"
#include "engine/graph/node_store.hpp"

namespace dvec::graph {

struct SanitizeReport {
    std::uint64_t repairs =
        0;  // links dropped, counts, block references, entry points and hints corrected
    std::uint64_t isolated = 0;  // live linked nodes left without any link on level 0
    bool operator==(const SanitizeReport &) const = default;
};

// Walks the slots below SharedState::linked. Afterwards no list has duplicates, and every link
// leads to another linked node that has a payload and the list's level. Chains of twins are as
// tidy_twins() leaves them with TwinCheck::vectors, and no hint of any row makes a search miss it
// (columns.hpp). References to upper blocks that are out of bounds or belong to another node are
// cleared (the node then counts as one of level 0). An entry point that is not a linked node with a
// payload is replaced by the highest node that is. Sound lists are not written. Must run alone on
// the index, with the mapping refreshed. Reads every slot's first lines; memory: one bit per node.
// Code::interrupted when `stop` becomes true (running it again is safe); Code::corrupt when
// `linked` exceeds the mapping.
base::Result<SanitizeReport> sanitize_links(NodeStore &nodes, const std::atomic<bool> &stop);

}  // namespace dvec::graph
