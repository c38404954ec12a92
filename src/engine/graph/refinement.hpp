// Puts found nodes in the order of their whole distances while measuring as few of them as possible
// (Seidl & Kriegel 1998, optimal multi-step k-nearest neighbour search). Nodes come in with a lower
// bound of their distance. The node with the least bound is measured, and it comes out when no
// other node's bound is below its distance. Nodes that nobody asks for are never measured.
#pragma once

#include <vector>

#include "engine/graph/candidate_heap.hpp"
#include "engine/graph/ranked.hpp"
#include "engine/graph/search_context.hpp"

namespace dvec::graph {

class Refinement {
  public:
    void reset(std::size_t keep_entries) { heap_.reset(keep_entries); }
    bool empty() const noexcept { return heap_.empty(); }

    // With what SearchContext::bound() gives.
    void add(Ranked bound) { heap_.add(bound); }

    // The nearest node, by its distance. Must not be empty.
    Ranked nearest(SearchContext &context) {
        for (;;) {
            const Ranked nearest = heap_.nearest();
            if (!nearest.is_bound())
                return nearest;
            heap_.take_nearest();
            heap_.add(context.measure_whole(nearest.id()));
        }
    }
    void take() { heap_.take_nearest(); }
    // No node is nearer than this, which may be a bound. Must not be empty.
    Ranked least() { return heap_.nearest(); }

    // In no particular order, as they were added or measured.
    template <class Use>
    void for_each(Use use) const {
        for (const Ranked node : heap_.entries())
            use(node);
    }

    // The farthest node, by its distance, for which `counts` is true; `none` where there is no such
    // node. All nodes are measured for this.
    template <class Counts>
    Ranked farthest(SearchContext &context, Ranked none, Counts counts) {
        ordered_.clear();
        for (; !heap_.empty(); take())
            ordered_.push_back(nearest(context));
        for (const Ranked node : ordered_)
            heap_.add(node);
        for (std::size_t i = ordered_.size(); i-- > 0;)
            if (counts(ordered_[i].id()))
                return ordered_[i];
        return none;
    }

    std::size_t memory_bytes() const noexcept {
        return heap_.memory_bytes() + ordered_.capacity() * sizeof(Ranked);
    }

  private:
    NodeHeap<Ranked> heap_;
    std::vector<Ranked> ordered_;  // scratch of farthest()
};

}  // namespace dvec::graph
