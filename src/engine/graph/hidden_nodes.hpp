// Gives searches a way to nodes that they pass by. Links lead to such a *hidden* node, but from
// nodes that no narrow walk comes to: an outlier is linked from others as far away as it is, or
// from none of those nearest to it, whose lists are taken by what is near to them; so a walk for
// the outlier's own vector ends among these and does not see it. A look at each node takes a part
// of the time of linking it, so where few are hidden this pass looks for those that may be.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/base/status.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/graph/reachability.hpp"

namespace dvec::graph {

struct HiddenReport {
    std::uint32_t looked_for = 0;  // nodes, each by a walk for its own vector
    std::uint32_t hidden = 0;
    std::uint32_t shown = 0;  // of these got a link
    bool operator==(const HiddenReport &) const = default;
};

// So many are looked for in some seconds: the worker links nothing meanwhile.
inline constexpr NodeId looked_for_between_batches = 500'000;

// Where nodes are looked for, and by whom.
struct HiddenSearch {
    NodeId first_new = 0;
    NodeId most_whole = looked_for_between_batches;
    unsigned threads = 1;  // total, including the calling thread
};

// Looks for live nodes below SharedState::linked by walks for their own vectors: for all from
// `first_new` on, if they are few, or not more than `most_whole` and some of a sample are hidden;
// and of all nodes for those that fewest links lead to and those whose neighbours are farthest
// away, in number one for forty of the new ones, but some in any case and 150,000 at most. One that
// is hidden gets a link from the nearest node that its walk has found and that has room for it, or
// else in the place of a link to a node that many lead to. So a pass that connects what cannot be
// reached (reachability.hpp) has to follow. With several threads it depends on chance who gets
// which link.
//
// Must run alone among those that write links, with the mapping refreshed and the links sound
// (sanitize.hpp); searches may go on. Memory: five bytes and a bit per linked node.
// Code::interrupted when `stop` becomes true (what got links keeps them); Code::corrupt when
// `linked` exceeds the mapping.
base::Result<HiddenReport> show_hidden(NodeStore &nodes, const ReachabilityParams &params,
                                       const HiddenSearch &search, const std::atomic<bool> &stop);

// That and connect_unreachable(), as a graph needs them when many nodes have been linked.
base::Status make_findable(NodeStore &nodes, const ReachabilityParams &params,
                           const HiddenSearch &search, const std::atomic<bool> &stop);

}  // namespace dvec::graph
