// The rows that walking the graph finds, in order of distance, as far as the walk goes.
//
// The rounds of the walk (graph_walk.hpp) find nodes by estimates. Each node stands for its place:
// its own row and the twins of that row (twins.hpp). Refinement puts the rows into the order of
// their whole distances.
#pragma once

#include <limits>
#include <optional>
#include <vector>

#include "engine/graph/graph_walk.hpp"
#include "engine/graph/near_copies.hpp"
#include "engine/graph/refinement.hpp"
#include "engine/graph/result_stream.hpp"
#include "engine/graph/search.hpp"
#include "engine/graph/search_context.hpp"
#include "engine/graph/twins.hpp"

namespace dvec::graph {

class GraphStream {
  public:
    // Begins at the entry point of context.marks, below which there must be a linked node for
    // head() to be called. `context` must outlive the stream.
    void start(SearchContext &context, const Search::Params &params);

    // Runs rounds of the walk as they are needed. The stream ends (nullopt) when the walk has
    // ended, has returned enough, or is lost (walk_is_lost); head() must not be called again after
    // that.
    base::Result<Head> head();
    void take();

    // The head, if it is known without another round; nullopt otherwise.
    Head head_at_hand() { return round_done_ ? head_of_round() : Head(); }
    // A lower bound of the head's distance, found without measuring anything and without another
    // round; nullopt where none is known.
    Head least();
    // As Search::likely_next and Search::limit_distances.
    std::size_t likely_next(Tid *tids, std::size_t most) const noexcept;
    void limit_distances(std::uint64_t most) noexcept { most_distances_ = most; }
    // Whether the stream ended because a pass over the keys, which a filter allows, is better than
    // walking on (GraphWalk::left).
    bool left_for_pass() const noexcept { return walk_.left(); }
    // Whether the limit allows so many further distances. True in any case while nothing has been
    // returned yet.
    bool may_measure(double distances) const noexcept {
        return returned_.empty() ||
               static_cast<double>(context_->statistics.distances) + distances <=
                   static_cast<double>(most_distances_);
    }

    // The farthest row that take() has taken; Ranked::first() before the first one. Where twins are
    // at one distance, it carries the id of their node. The exact completion goes on from here.
    Ranked farthest_returned() const noexcept { return farthest_returned_; }
    // Of the ended stream: how far the walk has come. It would find rows behind this only. last()
    // where it has found all that links lead to.
    Ranked covered() const noexcept { return found_all_ ? Ranked::last() : edge_; }
    // All rows that take() has taken, sorted by id. The stream must have ended, or not begun.
    const std::vector<NodeId> &sort_returned();

    std::size_t memory_bytes() const noexcept {
        return walk_.memory_bytes() + walked_.memory_bytes() + closed_.memory_bytes() +
               apart_.memory_bytes() + returned_.capacity() * sizeof(NodeId) +
               started_.capacity() * sizeof(Ranked);
    }

  private:
    base::Status run_round();
    Head head_of_round();
    bool walk_is_lost() const noexcept;
    bool walked_enough() const noexcept;
    bool looks_further();
    std::uint64_t rows_within(std::uint64_t most) const noexcept;
    std::size_t results_to_take() const noexcept;
    void settle_edge();
    void add_walked(Candidate estimate);
    void keep_started_places();
    void step_behind(Ranked row);
    void set_place_aside(Ranked node);
    void open_nearer_places();
    void open_place(NodeId node);
    bool measured_apart(NodeId id) const noexcept { return apart_.contains(id); }
    std::size_t list_rows(NodeId id, Tid *tids, std::size_t most) const noexcept;
    NodeId place(NodeId id) const noexcept { return place_of(*context_->nodes, id); }

    SearchContext *context_ = nullptr;
    GraphWalk walk_;
    // What is left of the last round's results: for each place the row that comes next, which is
    // the node itself at first.
    Refinement walked_;
    // Places with near twins. closed_ holds those that have not been opened yet, ordered by a lower
    // bound of the distance of every row there. When a place is opened, its rows are put into
    // walked_, each on its own. apart_ holds the node of each such place that the walk has met, and
    // all rows of the opened ones.
    NodeHeap<Ranked> closed_;
    VisitedSet apart_;
    std::optional<NearCopies> copies_;  // since the first such place
    std::uint64_t exact_after_ = 0;
    Search::Params::Rest rest_ = Search::Params::Rest::exact;
    std::uint64_t most_distances_ = 0;
    std::uint64_t distances_of_round_ = 0;  // of the walk's last one
    // As Search::Params says, and how many the last round has found.
    std::uint64_t wanted_within_ = 0;
    double farthest_wanted_ = 0;
    std::uint64_t found_within_ = 0;
    bool any_order_ = false;   // is right: no distance from the query is a number
    std::size_t taken_ = 0;    // of the results of the walk's last round, into walked_
    bool round_done_ = false;  // the walk has made one, to its end
    bool found_all_ = false;   // that links lead to
    // Up to this distance walked_ holds every node that the walk has met; nodes that are farther
    // wait for a later round. Before the first round first().
    Ranked edge_;
    bool edge_is_exact_ = false;  // or a bound, which the distances in walked_ may replace
    Ranked farthest_returned_;
    NodeId last_ = nobody;  // the row that take() took last
    std::vector<NodeId> returned_;
    std::vector<Ranked> started_;  // scratch of keep_started_places()
};
static_assert(ResultStream<GraphStream>);

}  // namespace dvec::graph
