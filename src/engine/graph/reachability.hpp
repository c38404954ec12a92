// Makes every node one that searches can find. A link list that is full drops links, and a crash
// takes the links to nodes that have to be linked again; now and then that cuts a group of nodes
// off, to which no walk leads any more however wide it is. This pass finds such groups and links
// them to the rest.
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

// How many of the live nodes below SharedState::linked no level-0 links lead to from the entry
// point, without those to which none have to: by inner product a node is left out that is outshone,
// having links to M / 2 others or more that are all nearer to its own vector than it is. A twin is
// led to by its node (twins.hpp). Without an entry point it is all live rows. Links may hold
// anything; whoever writes them meanwhile makes the answer an estimate. Memory as below;
// Code::interrupted when `interrupted` returns true, which is asked every few thousand nodes and
// must not throw or jump; Code::corrupt as below.
base::Result<std::uint32_t> count_unreachable(NodeStore &nodes, const ReachabilityParams &params,
                                              const std::function<bool()> &interrupted);

// Walks the level-0 links below SharedState::linked, breadth first from the entry point. Of the
// live nodes not met, each in turn gets a link from the nearest node met, and gives one back, and
// the walk goes on from there. In a full list the link takes the place of the farthest one by which
// the walk did not come, so whoever was met can still be reached. However many there are, none is
// left out but those that are outshone. Then nodes from which no links lead back to the entry point
// get one to where the walk came from: a search that begins among them must not be caught there.
//
// Must run alone among those that write links, with the mapping refreshed and the links sound
// (sanitize.hpp); searches may go on. Memory: nine bytes per linked node. Code::interrupted when
// `stop` becomes true (what was connected stays so); Code::corrupt when `linked` exceeds the
// mapping.
base::Result<ReachabilityReport> connect_unreachable(NodeStore &nodes,
                                                     const ReachabilityParams &params,
                                                     const std::atomic<bool> &stop);

}  // namespace dvec::graph
