// Makes every node one that searches can find. A link list that is full drops links, and a crash
// takes the links to nodes that have to be linked again; now and then that cuts a group of nodes
// off, to which no walk leads any more however wide it is. This pass finds such groups and links
// them to the rest.
#pragma once

#include <atomic>
#include <cstdint>

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
    std::uint32_t connected = 0;    // live nodes that got a link from a node that can be reached
    std::uint32_t unreachable = 0;  // live nodes that could not be given one
    bool operator==(const ReachabilityReport &) const = default;
};

// How many of the live nodes below SharedState::linked no level-0 links lead to from the entry
// point, without those to which none have to: by inner product a node is left out that is outshone,
// having links to M / 2 others or more that are all nearer to its own vector than it is. Links may
// hold anything; whoever writes them meanwhile makes the answer an estimate. Errors and memory as
// below.
base::Result<std::uint32_t> count_unreachable(NodeStore &nodes, const ReachabilityParams &params,
                                              const std::atomic<bool> &stop);

// Walks the level-0 links below SharedState::linked, breadth first from the entry point. Of the
// live nodes not met, each in turn gets a link from the nearest node met, and gives one back, and
// the walk goes on from there. In a full list the link takes the place of the farthest one by which
// the walk did not come, so whoever was met can still be reached.
//
// Nodes that are outshone are left as they are, and at most a thirty-second of the graph (and
// always 1024 nodes) is connected: such links are paid for with others that searches follow.
//
// Must run alone among those that write links, with the mapping refreshed and the links sound
// (sanitize.hpp); searches may go on. Memory: eight bytes per linked node. Code::interrupted when
// `stop` becomes true (what was connected stays so); Code::corrupt when `linked` exceeds the
// mapping.
base::Result<ReachabilityReport> connect_unreachable(NodeStore &nodes,
                                                     const ReachabilityParams &params,
                                                     const std::atomic<bool> &stop);

}  // namespace dvec::graph
