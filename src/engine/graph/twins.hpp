// Rows with equal vectors share one place in the graph. The first of them is a node like any other;
// each later one is its *twin*: a slot without links that nothing links to, found by way of the
// node. So a thousand copies of a vector take up no more links than one, and a new version of a row
// whose vector did not change costs no linking.
//
// Rows with nearly equal vectors (near_copies.hpp) share a place, too, as long as there are not too
// many of them. A *near twin* has a distance of its own, measured to its own vector, so a search
// that comes to such a chain measures all of it.
//
// A node and its twins form a chain in ascending order of ids. SlotHeader::twin holds 1 + the id of
// the next row of the chain, 0 at the end; in a twin the word also carries twin_mark. The link
// words of a twin's slot, which has no links, are used as follows: the first names the twin's node.
// This word decides to which node a twin belongs; the chain follows from it. The second is used in
// the first twin of a chain only: 1 + the lowest id of the near twins in the chain, 0 when there
// are none. The third is, in a near twin, the checksum of its node's slot, since the vectors do not
// prove that this is the right node; in an equal twin it is 0. A twin whose row is gone may have
// been taken out of its chain; its own word still leads on as before, for readers that have already
// come to it.
//
// Readers take no lock and trust nothing: a step must lead to a higher id below the reader's bound,
// and to a twin that names the same node; otherwise the chain ends there. So every chain ends, and
// no row is in two chains. Twins that were not linked when the reader began, or that a crash took
// back, stand at the end of their chain and do not count. A node that is a hole has lost its
// vector, and with it its chain.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <vector>

#include "engine/base/status.hpp"
#include "engine/graph/node_store.hpp"

namespace dvec::graph {

inline constexpr std::uint32_t twin_mark = 0x80000000u;
static_assert(max_nodes < twin_mark, "1 + an id and the mark share a word");
inline constexpr NodeId nobody = std::numeric_limits<NodeId>::max();

inline bool is_twin(const NodeStore &nodes, NodeId id) noexcept {
    return (nodes.slot(id)->twin.load(std::memory_order_acquire) & twin_mark) != 0;
}

// The node that a twin names; any number when the slot is damaged.
inline NodeId named_node(const NodeStore &nodes, NodeId twin) noexcept {
    return nodes.links(twin)[0].load(std::memory_order_relaxed);
}

// The node whose place an id has: its own, or that of the node it is a twin of.
inline NodeId place_of(const NodeStore &nodes, NodeId id) noexcept {
    return is_twin(nodes, id) ? named_node(nodes, id) : id;
}

// The row that follows `id` in the chain of `node`, below `bound`; nobody at the end.
inline NodeId next_twin(const NodeStore &nodes, NodeId node, NodeId id, NodeId bound) noexcept {
    const std::uint32_t word = nodes.slot(id)->twin.load(std::memory_order_acquire) & ~twin_mark;
    const NodeId next = word - 1;
    if (word == 0 || next <= id || next >= bound || !is_twin(nodes, next) ||
        named_node(nodes, next) != node)
        return nobody;
    return next;
}

// The link words of a twin besides the first.
enum TwinWord : std::size_t { twin_first_near = 1, twin_node_checksum = 2 };

// The value of twin_node_checksum in near twins of the node; never 0.
inline std::uint32_t near_twin_mark(const NodeStore &nodes, NodeId node) noexcept {
    const std::uint32_t checksum = nodes.slot(node)->checksum;
    return checksum != 0 ? checksum : 1;
}
inline bool is_near_twin(const NodeStore &nodes, NodeId twin) noexcept {
    return nodes.links(twin)[twin_node_checksum].load(std::memory_order_relaxed) != 0;
}
// Whether the node's chain below `bound` may have near twins. For one bound, an answer of false
// stays false while twins are appended.
inline bool has_near_twins(const NodeStore &nodes, NodeId node, NodeId bound) noexcept {
    const NodeId first = next_twin(nodes, node, node, bound);
    if (first == nobody)
        return false;
    const std::uint32_t word = nodes.links(first)[twin_first_near].load(std::memory_order_acquire);
    return word != 0 && word - 1 < bound;
}

// Whether `wanted` is true for a row of the node's place: the node itself or a twin below `bound`.
template <class Wanted>
bool any_row_of_place(const NodeStore &nodes, NodeId node, NodeId bound, Wanted wanted) noexcept {
    if (wanted(node))
        return true;
    if ((state_flags(nodes.state(node)) & slot_hole) != 0)
        return false;
    for (NodeId id = next_twin(nodes, node, node, bound); id != nobody;
         id = next_twin(nodes, node, id, bound))
        if (wanted(id))
            return true;
    return false;
}
inline bool has_live_row(const NodeStore &nodes, NodeId node, NodeId bound) noexcept {
    return any_row_of_place(nodes, node, bound,
                            [&](NodeId id) { return is_live(nodes.state(id)); });
}

enum class TwinVector : std::uint8_t { equal, near };

// For the one party that links. `last` is the last row of the node's chain and has a lower id than
// `twin`, which no reader takes for linked yet.
void append_twin(NodeStore &nodes, NodeId node, NodeId last, NodeId twin,
                 TwinVector vector) noexcept;

// Whether a twin is still what it was linked as: a near twin of this very node, or a row with the
// same vector. Its node must have a vector.
bool is_sound_twin(const NodeStore &nodes, NodeId twin) noexcept;

// For the one party that links: leaves only the equal twins in the node's chain, and returns the
// live near twins that were in it, in order of ids. The words of these still lead on as before
// until they are linked.
std::vector<NodeId> release_near_twins(NodeStore &nodes, NodeId node, NodeId bound);

enum class TwinCheck : std::uint8_t {
    membership,  // the named node is there
    vectors      // and has the vector, or is the near copy, that it was linked as: reads the
                 // vectors of all twins and their nodes
};

struct TwinReport {
    std::uint32_t twins = 0;     // live ones in chains
    std::uint32_t repaired = 0;  // chain words that led elsewhere than to the next live twin
    std::uint32_t parted = 0;    // live twins of no node that became nodes without links
};

// Makes the chains of the nodes below SharedState::linked what they should be: every live twin is
// in the chain of its node, in ascending order, and twins whose rows are gone are in no chain any
// more. A live twin whose node is not there, or has another vector, becomes a node of its own
// without links; or a twin of such a new node, if that has the same vector. Sound chains are not
// written. Must run alone among those that write links; searches may go on. Reads every slot's
// first line. Code::interrupted when `stop` becomes true (running it again is safe); Code::corrupt
// when `linked` exceeds the mapping.
base::Result<TwinReport> tidy_twins(NodeStore &nodes, TwinCheck check,
                                    const std::atomic<bool> &stop);

}  // namespace dvec::graph
