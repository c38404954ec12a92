// The approximate part of a search: best-first walk over the links (Malkov & Yashunin 2018,
// algorithm 2) in rounds that can go on where the last one stopped.
//
// A round ends when every candidate in the beam is expanded; the beam then holds the round's
// results. Candidates that did not fit into the beam, or had to leave it, are set aside, and the
// next round's beam is filled from them. Where codes are long, most of the candidates that do not
// fit are told by a first look (first_look.hpp) and are measured only if they are wanted later.
//
// Where nodes have link codes (link_codes.hpp), the beam of the first round holds guesses of nodes
// that are not yet expanded. A node is measured when it is expanded, and takes the place in the
// beam that its distance gives it. What was set aside by guesses is measured when a second round is
// wanted, which goes by the links.
#pragma once

#include <utility>
#include <vector>

#include "engine/base/status.hpp"
#include "engine/graph/beam.hpp"
#include "engine/graph/candidate_heap.hpp"
#include "engine/graph/first_look.hpp"
#include "engine/graph/link_codes.hpp"
#include "engine/graph/search_context.hpp"
#include "engine/graph/visited_set.hpp"

namespace dvec::graph {

class GraphWalk {
  public:
    // Begins at the entry point of context.marks. `context` must outlive the walk. `without` is as
    // in Search::Params.
    void start(SearchContext &context, std::uint32_t ef, NodeId without = nobody);

    // Runs the next round to its end. The first `taken` results of the last round are removed from
    // the beam; the others stay in it. Code::interrupted leaves the walk where it is: calling again
    // goes on. Must not be called when exhausted(). Ends early once the walk has met `until`; then
    // it is of no further use.
    base::Status run_round(std::size_t taken, NodeId until = nobody);
    // Whether the walk came by the node on level 0. Such a node is among the results, unless they
    // are as many as there is room for and all nearer. Not while guesses().
    bool met(NodeId id) const noexcept { return visited_.contains(id); }
    // Whether the round ended early because a pass over the keys (filter_plan.hpp) is better than
    // walking on. Then there are no results, and there must be no further round.
    bool left() const noexcept { return left_; }
    // Whether it goes by link codes, and nodes that were set aside are not measured.
    bool guesses() const noexcept { return context_->link_codes != nullptr; }
    // Whether nothing was set aside: every node that links lead to has been in a beam.
    bool exhausted() const noexcept {
        return started_ && !in_round_ && !any_aside() && (!guesses() || looked_back_);
    }

    // The results of the last round, nearest first, as Beam holds them: nodes, each with a row in
    // its place that the context admits. A node that was taken is in no later results. A later
    // round may find nodes that are nearer than results taken before; the more results the caller
    // leaves in the beam, the fewer such nodes there are.
    const Beam &results() const noexcept { return beam_; }

    // Calls `use` with the nodes that are set aside, in no particular order; those that are hardly
    // nearer than `limit` may be left out.
    template <class Use>
    void for_each_set_aside(float limit, Use use) {
        stop_guessing();
        while (!deferred_.empty() && candidate_distance(deferred_.nearest()) <= limit)
            measure_deferred();
        for (const Candidate candidate : set_aside_.entries())
            use(candidate);
    }

    std::size_t memory_bytes() const noexcept;

  private:
    void descend();
    void descend_level(int level);
    Candidate measure_above(NodeId id) noexcept;
    void fill_beam(std::size_t taken);
    void expand(NodeId id);
    NodeId stand_in_for(NodeId of) const noexcept;
    void expand_by_codes(NodeId id);
    bool follow_codes(NodeId id, float distance);
    float farthest_in_beam() const noexcept;
    void offer_guess(Candidate candidate);
    void look_back();
    void take_guess(CandidateHeap &from);
    void fill_by_guesses();
    [[gnu::always_inline]] void prefetch_links(Candidate candidate) const noexcept;
    Candidate measure_and_learn(NodeId id, const FirstLook::Seen &seen) noexcept;
    std::size_t look_first(NodeId *nodes, std::size_t count);
    void measure(const NodeId *nodes, std::size_t count);
    void offer(Candidate candidate);
    void defer(Candidate least);
    void measure_deferred();
    void stop_guessing();
    bool any_aside() const noexcept { return !set_aside_.empty() || !deferred_.empty(); }
    Candidate nearest_set_aside();
    Candidate take_set_aside();
    void set_aside(Candidate candidate);
    Candidate next();
    std::size_t capacity() const noexcept;
    void replace_next();
    void replace_removed();
    void refill();
    bool refuse_next();
    void follow_twin(NodeId id);

    SearchContext *context_ = nullptr;
    Beam beam_;
    VisitedSet visited_;
    // Of the descent. A node that was too far away on one level is so on all below.
    Beam above_;
    VisitedSet seen_above_;
    NodeId without_ = nobody;  // visited from the beginning
    CandidateHeap set_aside_;
    FirstLook look_;
    // Set aside by the first look: the distances are the least that can be expected, and what may
    // be wanted of these nodes is measured then. While the walk guesses, and has looked back: what
    // did not fit into the beam, by its guess, and more than once where several links led to it.
    CandidateHeap deferred_;
    LinkCodes::Query codes_query_;
    // Nodes that the walk has followed by codes, with their distances.
    std::vector<std::pair<NodeId, float>> followed_;
    bool looked_back_ = false;
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
    // Nothing that was set aside is nearer than this. Used only with a filter.
    Candidate nearest_aside_ = Beam::none;
};

}  // namespace dvec::graph
