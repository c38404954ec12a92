// The approximate part of a search: best-first walk over the links (Malkov & Yashunin 2018,
// algorithm 2) in rounds that can go on where the last one stopped.
//
// A round ends when every candidate in the beam is expanded; the beam then holds its results. What
// did not fit, or had to leave, is set aside and becomes the beam of the next round.
#pragma once

#include <vector>

#include "engine/base/status.hpp"
#include "engine/graph/beam.hpp"
#include "engine/graph/candidate_heap.hpp"
#include "engine/graph/search_context.hpp"
#include "engine/graph/visited_set.hpp"

namespace dvec::graph {

class GraphWalk {
  public:
    // Begins at the entry point of context.marks. `context` must outlive the walk.
    void start(SearchContext &context, std::uint32_t ef);

    // Runs the next round to its end, without the first `taken` results of the last one; the others
    // stay in the beam. Code::interrupted leaves the walk where it is: calling again goes on. Must
    // not be called when exhausted().
    base::Status run_round(std::size_t taken);
    // Whether the round ended early, because a pass over the keys (filter_plan.hpp) is better than
    // walking on. Then there are no results, and no further round.
    bool left() const noexcept { return left_; }
    // Whether nothing was set aside: every node that links lead to has been in a beam.
    bool exhausted() const noexcept { return started_ && !in_round_ && set_aside_.empty(); }

    // The results of the last round, nearest first, as Beam holds them: nodes, each with a row in
    // its place that the context admits. A node that was taken is in no later results. Rounds after
    // the first may find nodes nearer than results of earlier ones: the more of the beam is left in
    // it, the fewer of them are nearer than what was taken.
    const Beam &results() const noexcept { return beam_; }

    // Calls `use` with every node that was met and is in no beam, in no particular order.
    template <class Use>
    void for_each_set_aside(Use use) const {
        for (const Candidate candidate : set_aside_.entries())
            use(candidate);
    }

    std::size_t memory_bytes() const noexcept;

  private:
    NodeId descend() const noexcept;
    NodeId descend_level(NodeId from, int level) const noexcept;
    void fill_beam(std::size_t taken);
    void expand(NodeId id);
    void prefetch_links(Candidate candidate) const noexcept;
    void offer(Candidate candidate);
    void set_aside(Candidate candidate);
    Candidate next();
    std::size_t capacity() const noexcept;
    void replace_next();
    void refill();
    bool refuse_next();
    void follow_twin(NodeId id);

    SearchContext *context_ = nullptr;
    Beam beam_;
    VisitedSet visited_;
    CandidateHeap set_aside_;
    std::vector<NodeId> unseen_;  // scratch of expand()
    std::size_t width_ = 0;       // of the next round
    std::size_t widest_ = 0;
    bool started_ = false;
    bool in_round_ = false;
    bool left_ = false;
    // With a filter: nodes expanded that had an admitted row, and that had none.
    std::size_t admitted_ = 0;
    std::size_t refused_ = 0;
    std::size_t refused_before_ = 0;
    std::size_t wanted_ = 0;  // results of the round
    // All that was set aside is not nearer than this; without a filter nobody asks.
    Candidate nearest_aside_ = Beam::none;
};

}  // namespace dvec::graph
