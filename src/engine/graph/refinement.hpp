// Puts found nodes in the order of their exact distances while measuring as few of them as can be
// (Seidl & Kriegel 1998, optimal multi-step k-nearest neighbour search). Nodes come in with a lower
// bound of their distance; the one with the least bound is measured, and comes out when no bound of
// another is below its distance. Those that nobody asks for are never measured.
#pragma once

#include "engine/graph/candidate_heap.hpp"
#include "engine/graph/search_context.hpp"

namespace dvec::graph {

class Refinement {
  public:
    void reset(std::size_t keep_entries) { heap_.reset(keep_entries); }
    bool empty() const noexcept { return heap_.empty(); }

    // With what SearchContext::bound() gives.
    void add(Candidate bound) { heap_.add(bound); }

    // The nearest node, by its exact distance. Must not be empty.
    Candidate nearest(SearchContext &context) {
        for (;;) {
            const Candidate nearest = heap_.nearest();
            if (is_exact(nearest))
                return unmarked(nearest);
            heap_.take_nearest();
            heap_.add(exact(context.measure(candidate_id(nearest))));
        }
    }
    void take() { heap_.take_nearest(); }

    std::size_t memory_bytes() const noexcept { return heap_.memory_bytes(); }

  private:
    CandidateHeap heap_;
};

}  // namespace dvec::graph
