// Links rows into the graph, a batch at a time and with several threads: HNSW's construction over
// mapped files. hnswlib's class holds what is kept of the nodes in memory, and finds lists and
// vectors in its layout (link_lists.hpp); linker.cpp alone includes it.
// How one node gets its links is our own (node_linking.hpp), for three reasons: links in mapped
// files must be checked before they are followed, inner products need another rule than hnswlib's,
// and every link and count must be stored atomically, since others read them without locks.
//
// A row whose vector is in the graph already gets no links; it becomes a twin (twins.hpp) of the
// node that has it. A row that is a near copy of a clump of nodes becomes a near twin of one of
// them. When it turns out later that the nodes are no clump, their near twins become nodes without
// lists above level 0.
//
// One linker per index at a time. Algorithm: Malkov & Yashunin, "Efficient and robust approximate
// nearest neighbor search using Hierarchical Navigable Small World graphs", 2018
// (arXiv:1603.09320).
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>

#include "engine/base/status.hpp"
#include "engine/distance/kernel.hpp"
#include "engine/graph/node_store.hpp"

namespace dvec::graph {

class Linker {
  public:
    struct Params {
        distance::Kernel kernel;
        std::uint32_t dimensions = 0;
        std::uint32_t ef_construction = 64;
        unsigned threads = 1;  // total, including the calling thread
        // About how many near twins share a node; 0: as many as a search measures quickly (8 MB).
        std::uint32_t most_near_twins = 0;
    };

    // `nodes` is used by this linker alone (its mapping is refreshed here) and must outlive it.
    // Memory: 3 bytes for each slot there is space for (7 by inner product), and 10 to 11.25 for
    // each node, by which twins are found; some 60 for a node that has twins. Reads every slot's
    // first line.
    //
    // Links may hold anything: an id or a count that cannot be is not followed. Code::corrupt when
    // the entry point is not one of the linked nodes.
    static base::Result<std::unique_ptr<Linker>> create(NodeStore &nodes, const Params &params);
    ~Linker();

    // Links the ids from SharedState::linked up to `end` (at most `allocated`) by all threads, and
    // publishes `linked` and the entry point when all are done. Waits for slots not ready yet.
    // Holes and nodes deleted before their turn are passed over. Links these ids had from an
    // earlier attempt are discarded; their blocks in `upper` are used again.
    //
    // When `stop` becomes true, this ends early with Code::interrupted and publishes nothing of the
    // batch: links already stored lead to ids >= linked, which readers ignore, and the same or
    // another batch can be linked later. Code::no_space (for `upper`) before anything was changed.
    // Code::corrupt when the watermarks in SharedState cannot be.
    base::Status link(NodeId end, const std::atomic<bool> &stop);

    // How many nodes to link at a time while a graph is built from nothing: few while it is small,
    // since nodes linked at the same time would miss each other as neighbours.
    static constexpr NodeId batch_of_build(NodeId linked) {
        return std::clamp<NodeId>(linked / 8, 1, 4096);
    }

  private:
    class Batches;
    explicit Linker(std::unique_ptr<Batches> batches);

    std::unique_ptr<Batches> batches_;
};

}  // namespace dvec::graph
