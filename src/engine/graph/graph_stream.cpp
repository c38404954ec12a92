// Rounds of the walk, and what comes out of them in order.
#include "engine/graph/graph_stream.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace dvec::graph {

using base::Result;
using base::Status;

namespace {

// To find the last row within a distance a walk gets up to eight times as wide.
constexpr std::uint32_t most_rounds_within = 3;

}  // namespace

void GraphStream::start(SearchContext &context, const Search::Params &params) {
    context_ = &context;
    exact_after_ = params.exact_after;
    rest_ = params.rest;
    most_distances_ = UINT64_MAX;
    wanted_within_ = params.wanted_within;
    farthest_wanted_ = params.farthest_wanted;
    found_within_ = 0;
    // A vector of zeros, however it is stored, has no direction.
    any_order_ = context.kernel.metric == distance::Metric::cosine &&
                 std::all_of(context.query, context.query + context.nodes->layout().vector_bytes,
                             [](std::byte byte) { return byte == std::byte{0}; });
    taken_ = 0;
    round_done_ = false;
    found_all_ = false;
    edge_ = Ranked::first();
    edge_is_exact_ = false;
    farthest_returned_ = Ranked::first();
    last_ = nobody;
    returned_.clear();
    walked_.reset(kept_entries);
    closed_.reset(kept_entries);
    apart_.reset(16);
    copies_.reset();
    walk_.start(context, std::max(params.ef, 1u), params.without);
}

Result<Head> GraphStream::head() {
    for (;;) {
        if (const Head head = head_at_hand())
            return head;
        found_all_ = round_done_ && walk_.exhausted();
        if (found_all_ || (round_done_ && walked_enough()))
            return Head();
        DVEC_TRY(run_round());
        if (walk_.left() || walk_is_lost())
            return Head();
        if (looks_further()) {
            taken_ = 0;
            continue;
        }
        for (std::size_t i = 0; i < taken_; ++i)
            add_walked(unexpanded(walk_.results()[i]));
        // Every result that was not taken has an estimate beyond that of the last one taken.
        edge_is_exact_ = false;
        if (taken_ > 0)
            edge_ = context_->likely_bound(unexpanded(walk_.results()[taken_ - 1]));
    }
}

// Runs the next round, or goes on with one that was interrupted.
Status GraphStream::run_round() {
    round_done_ = false;
    const std::uint64_t before = context_->statistics.distances;
    DVEC_TRY(walk_.run_round(taken_));
    distances_of_round_ = context_->statistics.distances - before;
    round_done_ = true;
    taken_ = results_to_take();
    keep_started_places();
    return {};
}

void GraphStream::take() {
    const Ranked row = walked_.nearest(*context_);
    const NodeId id = row.id();
    step_behind(row);
    farthest_returned_ =
        std::max(farthest_returned_, measured_apart(id) ? row : row.with_id(place(id)));
    last_ = id;
    returned_.push_back(id);
}

// Nothing is known about rows behind the edge, except that they are not next.
Head GraphStream::least() {
    if (!round_done_)
        return Head();
    Ranked least = Ranked::last();
    if (!walked_.empty())
        least = std::min(least, walked_.least());
    if (!closed_.empty())
        least = std::min(least, closed_.nearest());
    return least > edge_ ? Head() : Head(least);
}

const std::vector<NodeId> &GraphStream::sort_returned() {
    std::sort(returned_.begin(), returned_.end());
    return returned_;
}

std::size_t GraphStream::likely_next(Tid *tids, std::size_t most) const noexcept {
    if (!round_done_)
        return 0;
    std::size_t count = last_ == nobody ? 0 : list_rows(last_, tids, most);
    // These are in the order of their estimates. The farthest row returned so far has its place in
    // that order, too, and the rows up to it are skipped.
    for (std::size_t i = 0; i < taken_ && count < most; ++i) {
        const Candidate candidate = unexpanded(walk_.results()[i]);
        const NodeId id = candidate_id(candidate);
        if (Ranked(candidate_distance(candidate), id, Ranked::Kind::distance) <= farthest_returned_)
            continue;
        if (context_->admits(id))
            tids[count++] = state_tid(context_->nodes->state(id));
        count += list_rows(id, tids + count, most - count);
    }
    return count;
}

// Lists the rows that follow this one in its place; returns how many.
std::size_t GraphStream::list_rows(NodeId id, Tid *tids, std::size_t most) const noexcept {
    const NodeStore &nodes = *context_->nodes;
    const NodeId node = place(id);
    std::size_t count = 0;
    while (count < most && (id = next_twin(nodes, node, id, context_->marks.linked)) != nobody)
        if (context_->admits(id))
            tids[count++] = state_tid(nodes.state(id));
    return count;
}

// The nearest row that the rounds so far have found, up to their edge.
Head GraphStream::head_of_round() {
    while (open_nearer_places(), !walked_.empty()) {
        const Ranked row = walked_.nearest(*context_);
        const NodeId id = row.id();
        if (row > edge_) {
            if (edge_is_exact_)
                break;
            settle_edge();
            continue;
        }
        // A later round may find what an earlier one missed, too late for its place in the order.
        // Only the node itself is tested here, since the node comes first in its place; where each
        // row has a distance of its own, every row is tested.
        if (row <= farthest_returned_ && (id == place(id) || measured_apart(id)))
            walked_.take();
        else if (context_->admits(id))
            return Head(row);
        else
            step_behind(row);
    }
    return Head();
}

// The walk is lost when there are distances among the results that float cannot hold: then nothing
// tells which of their neighbours are nearer still.
bool GraphStream::walk_is_lost() const noexcept {
    if (taken_ == 0 || any_order_)
        return false;
    return !std::isfinite(candidate_distance(walk_.results()[0])) ||
           !std::isfinite(candidate_distance(walk_.results()[taken_ - 1]));
}

// Estimates decided which results were taken. Near the edge, some results that were not taken are
// nearer than some that were. They are added to walked_ here, too, so that they come in their right
// place. They also stay in the walk, so a later round meets them again and recognises them as
// returned.
void GraphStream::settle_edge() {
    // Rows of open places say nothing about how far the walk has come; they wait.
    edge_ = walked_.farthest(*context_, edge_, [this](NodeId id) { return !measured_apart(id); });
    edge_is_exact_ = true;
    const auto take_nearer = [this](Candidate met) {
        if (const Candidate estimate = unexpanded(met); context_->likely_bound(estimate) <= edge_)
            add_walked(estimate);
    };
    for (std::size_t i = taken_; i < walk_.results().size(); ++i)
        take_nearer(walk_.results()[i]);
    walk_.for_each_set_aside(static_cast<float>(edge_.distance()), take_nearer);
}

// The next round is up to twice as wide as the last one, so it may measure twice as much.
bool GraphStream::walked_enough() const noexcept {
    if (rest_ == Search::Params::Rest::exact)
        return returned_.size() >= exact_after_;
    return context_->statistics.distances + 2 * distances_of_round_ > most_distances_;
}

// Whether the next round is to be made before anything is returned. A walk finds the farther ones
// of its results less well than the nearer ones: of those within a distance that it has passed it
// may have missed some, and no later round would bring them in order. The beam keeps its results,
// so that a round only adds to them; one that adds none is the last.
bool GraphStream::looks_further() {
    if (wanted_within_ == 0 || !returned_.empty() || walk_.exhausted() ||
        context_->statistics.rounds >= most_rounds_within)
        return false;
    const std::uint64_t before = std::exchange(found_within_, rows_within(wanted_within_));
    const bool adds = context_->statistics.rounds == 0 || found_within_ > before;
    return adds && found_within_ < wanted_within_ &&
           context_->statistics.distances + 2 * distances_of_round_ <= most_distances_;
}

// How many of the round's rows are not farther than what is wanted; at least `most` where all are.
std::uint64_t GraphStream::rows_within(std::uint64_t most) const noexcept {
    const SearchContext &context = *context_;
    std::uint64_t rows = 0;
    for (std::size_t i = 0; i < walk_.results().size() && rows < most; ++i) {
        const Candidate candidate = unexpanded(walk_.results()[i]);
        const double distance = candidate_distance(candidate);
        if (!(context.kernel.operator_value(distance) <= farthest_wanted_))
            return rows;
        const NodeId node = candidate_id(candidate);
        for (NodeId row = node; row != nobody && rows < most;
             row = next_twin(*context.nodes, node, row, context.marks.linked))
            rows += context.admits(row) ? 1 : 0;
    }
    return most;
}

// A link may lead to a twin, but a twin is returned only by way of its node.
void GraphStream::add_walked(Candidate estimate) {
    const NodeId id = candidate_id(estimate);
    if (is_twin(*context_->nodes, id) || measured_apart(id))
        return;
    // Nobody has asked yet whether the filter admits a row of a node set aside; if it admits none,
    // the place is not worth measuring.
    if (context_->filter != nullptr && !context_->admits_place(id))
        return;
    const Ranked bound = context_->bound(estimate);
    if (has_near_twins(*context_->nodes, id, context_->marks.linked))
        set_place_aside(bound);
    else
        walked_.add(bound);
}

void GraphStream::set_place_aside(Ranked node) {
    const NodeStore &nodes = *context_->nodes;
    if (!copies_)
        copies_.emplace(context_->kernel, context_->dimensions, nodes.layout().vector_bytes);
    apart_.reserve(1);
    apart_.insert(node.id());
    const double least = copies_->least(node.distance(), nodes.vector(node.id()), context_->query);
    closed_.add({least, node.id(), Ranked::Kind::bound});
}

// Opens the places that may have a row nearer than the nearest row in walked_.
void GraphStream::open_nearer_places() {
    while (!closed_.empty() && (walked_.empty() || closed_.nearest() < walked_.nearest(*context_)))
        open_place(closed_.take_nearest().id());
}

void GraphStream::open_place(NodeId node) {
    const NodeStore &nodes = *context_->nodes;
    if ((state_flags(nodes.state(node)) & slot_hole) != 0)
        return;
    for (NodeId id = node; id != nobody;) {
        const NodeId next = next_twin(nodes, node, id, context_->marks.linked);
        if (next != nobody)
            context_->prefetch(next);
        apart_.reserve(1);
        apart_.insert(id);
        if (context_->admits(id))
            walked_.add(context_->bound(context_->estimate(id)));
        id = next;
    }
}

// A node beyond the edge that was not taken will be met again by the walk. A twin, or a row of an
// opened place, will not, so these are kept.
void GraphStream::keep_started_places() {
    started_.clear();
    walked_.for_each([this](Ranked row) {
        if (is_twin(*context_->nodes, row.id()) || measured_apart(row.id()))
            started_.push_back(row);
    });
    walked_.reset(kept_entries);
    for (const Ranked row : started_)
        walked_.add(row);
}

// Replaces the row, which must be the first in walked_, by the next one of its place, which has the
// same distance. Where each row has a distance of its own, all are in walked_ already.
void GraphStream::step_behind(Ranked row) {
    walked_.take();
    const NodeId id = row.id();
    if (measured_apart(id))
        return;
    const NodeStore &nodes = *context_->nodes;
    const NodeId node = place(id);
    if (id == node && (state_flags(nodes.state(id)) & slot_hole) != 0)
        return;
    if (const NodeId next = next_twin(nodes, node, id, context_->marks.linked); next != nobody)
        walked_.add(row.with_id(next));
}

// Of a round that widened the beam, only the nearer half of the results is taken. The farther half
// waits for the next round, so that what the next round finds near this edge still comes in its
// place. All results of the first round are taken: that is what the caller asked for with `ef`, and
// it should cost no more; so with rounds that have looked further before anything was returned.
// Where the first round went by guesses, it has missed too many of the farther ones for that.
std::size_t GraphStream::results_to_take() const noexcept {
    const std::size_t results = walk_.results().size();
    const bool looked_further = wanted_within_ != 0 && returned_.empty();
    const bool first = (context_->statistics.rounds == 0 || looked_further) && !walk_.guesses();
    const bool all = first || walk_.exhausted();
    return all ? results : (results + 1) / 2;
}

}  // namespace dvec::graph
