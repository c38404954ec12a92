// Makes every node one that searches can find. A full link list drops links, and a crash takes away
// the links to nodes that have to be linked again. Now and then that cuts off a group of nodes: no
// walk leads there any more, however wide it is. This pass finds such groups and links them to the
// rest.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "engine/base/status.hpp"
#include "engine/distance/kernel.hpp"
#include "engine/graph/node_store.hpp"

namespace dvec::graph {

struct ReachabilityParams {
    distance::Kernel kernel;
    std::uint32_t dimensions = 0;
    std::uint32_t ef = 64;  // of the searches for the nearest node that can be reached
};

struct ReachabilityReport {
    std::uint32_t connected = 0;  // live nodes that got a link from a node that can be reached
    std::uint32_t returned = 0;   // nodes met that got a link back
    bool operator==(const ReachabilityReport &) const = default;
};

// Counts the live nodes below SharedState::linked that level-0 links do not lead to from the entry
// point. Nodes that are outshone are not counted: by inner product a node may have links to M / 2
// others or more that are all nearer to its own vector than it is, and no link has to lead to such
// a node. A twin is reached by way of its node (twins.hpp). Without an entry point all live rows
// are counted. Links may hold anything; if others write them meanwhile, the answer is an estimate.
// Memory: eight bytes per linked node. Code::interrupted when `interrupted` returns true, which is
// asked every few thousand nodes and must not throw or jump; Code::corrupt when `linked` exceeds
// the mapping.
base::Result<std::uint32_t> count_unreachable(NodeStore &nodes, const ReachabilityParams &params,
                                              const std::function<bool()> &interrupted);

// Walks the level-0 links below SharedState::linked, breadth first from the entry point. Each live
// node that was not met gets links from the nearest nodes that were met and gives one back, and the
// walk goes on from there. In a full list the new link replaces the farthest one that the walk did
// not follow, so every node that was met can still be reached. However many such nodes there are,
// only those that are outshone are left out. Then each node from which no links lead back to the
// entry point gets a link to the node that the walk came from: a search that begins among such
// nodes must not be caught there.
//
// Must run alone among those that write links, with the mapping refreshed and the links sound
// (sanitize.hpp); searches may go on. Memory: up to about 13 bytes per linked node.
// Code::interrupted when `stop` becomes true (what was connected stays connected); Code::corrupt
// when `linked` exceeds the mapping.
base::Result<ReachabilityReport> connect_unreachable(NodeStore &nodes,
                                                     const ReachabilityParams &params,
                                                     const std::atomic<bool> &stop);

}  // namespace dvec::graph
