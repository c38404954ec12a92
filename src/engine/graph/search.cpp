// Joins the parts of a search into one ordered stream: the walk over the linked nodes, then their
// exact completion, merged all the while with the tail.
#include "engine/graph/search.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "engine/graph/exact_scan.hpp"
#include "engine/graph/graph_walk.hpp"
#include "engine/graph/near_copies.hpp"
#include "engine/graph/refinement.hpp"
#include "engine/graph/twins.hpp"

namespace dvec::graph {

using base::Code;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t kept_entries = std::size_t{1} << 16;

// The query on cache lines of its own, as the kernels like it.
class AlignedCopy {
  public:
    const std::byte *assign(const void *data, std::size_t size) {
        if (size > size_) {
            bytes_.reset();
            bytes_.reset(
                static_cast<std::byte *>(::operator new (size, std::align_val_t{cache_line})));
            size_ = size;
        }
        std::memcpy(bytes_.get(), data, size);
        return bytes_.get();
    }
    std::size_t memory_bytes() const noexcept { return size_; }

  private:
    struct Free {
        void operator()(std::byte *bytes) const {
            ::operator delete (bytes, std::align_val_t{cache_line});
        }
    };
    std::unique_ptr<std::byte, Free> bytes_;
    std::size_t size_ = 0;
};

}  // namespace

class Search::Progress {
  public:
    Status start(const NodeStore &nodes, const Watermarks &marks, const void *query,
                 const Params &params);
    Result<std::optional<Hit>> next();
    bool next_is_at_hand();
    double least_next();
    std::size_t likely_next(Tid *tids, std::size_t most) const noexcept;

    void limit_distances(std::uint64_t most) noexcept { most_distances_ = most; }

    const SearchStatistics &statistics() const noexcept { return context_.statistics; }
    std::size_t memory_bytes() const noexcept {
        return sizeof(*this) + query_.memory_bytes() + walk_.memory_bytes() +
               walked_.memory_bytes() + closed_.memory_bytes() + apart_.memory_bytes() +
               exact_.memory_bytes() + tail_.memory_bytes() +
               returned_.capacity() * sizeof(NodeId) + started_.capacity() * sizeof(Ranked);
    }

  private:
    // Where the linked nodes come from.
    enum class Phase {
        idle,    // nothing started
        walk,    // the rounds over the graph
        beyond,  // exact: farther than the last hit of the walk
        missed,  // exact: nearer than that, but never returned
        done
    };
    using Head = std::optional<Ranked>;

    Result<Head> linked_head();
    Result<Head> walk_head();
    Head head_of_round();
    bool walk_is_lost() const noexcept;
    bool walked_enough() const noexcept;
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
    NodeId place(NodeId id) const noexcept { return place_of(*context_.nodes, id); }
    Head tail_head();
    void complete();

    SearchContext context_;
    AlignedCopy query_;
    GraphWalk walk_;
    // What is left of the last round's results: of each place the row to come next, the node itself
    // at first.
    Refinement walked_;
    // Places with near twins that have not been opened, by what the least distance of a row there
    // is at least; of all such places that the walk has met the node, and of open ones all rows:
    // their rows stand in walked_, each by itself.
    NodeHeap<Ranked> closed_;
    VisitedSet apart_;
    std::optional<NearCopies> copies_;  // since the first such place
    ExactStream exact_;
    Refinement tail_;
    std::uint64_t exact_after_ = 0;
    Params::Rest rest_ = Params::Rest::exact;
    std::uint64_t most_distances_ = 0;
    std::uint64_t distances_of_round_ = 0;  // of the walk's last one
    bool any_order_ = false;                // is right: no distance from the query is a number
    Phase phase_ = Phase::idle;
    std::size_t taken_ = 0;    // of the results of the walk's last round, into walked_
    bool round_done_ = false;  // the walk has made one, to its end
    // So far walked_ holds every node that the walk has met; what is farther waits. Of no meaning
    // before the first round.
    Ranked edge_;
    bool edge_is_exact_ = false;  // or a bound, which the distances in walked_ may replace
    // The farthest place the walk has returned rows of, the last row it has returned, and all of
    // them: what exact completion must not repeat.
    Ranked horizon_;
    NodeId last_ = nobody;
    std::vector<NodeId> returned_;
    std::vector<Ranked> started_;  // scratch of keep_started_places()
};

Status Search::Progress::start(const NodeStore &nodes, const Watermarks &marks, const void *query,
                               const Params &params) {
    phase_ = Phase::idle;
    if (marks.allocated > nodes.mapped_slots() || marks.linked > marks.allocated)
        return Status(Code::invalid_argument, "the mapping does not cover the ids to search");
    context_.begin(nodes, marks, params.kernel, params.dimensions,
                   query_.assign(query, nodes.layout().vector_bytes));
    context_.interrupted = params.interrupted;
    nodes.expect(base::Reading::scattered);

    exact_after_ = params.exact_after;
    context_.count_within = params.count_within;
    rest_ = params.rest;
    most_distances_ = UINT64_MAX;
    // A vector of zeros, however it is stored, points nowhere.
    any_order_ = params.kernel.metric == distance::Metric::cosine &&
                 std::all_of(context_.query, context_.query + nodes.layout().vector_bytes,
                             [](std::byte byte) { return byte == std::byte{0}; });
    taken_ = 0;
    round_done_ = false;
    horizon_ = Ranked::first();
    last_ = nobody;
    returned_.clear();
    exact_.release_memory(kept_entries);
    walked_.reset(kept_entries);
    closed_.reset(kept_entries);
    apart_.reset(16);
    copies_.reset();
    tail_.reset(kept_entries);
    DVEC_TRY(scan_all(context_, context_.marks.linked, marks.allocated, tail_));
    context_.statistics.tail = marks.allocated - context_.marks.linked;
    walk_.start(context_, std::max(params.ef, 1u));
    phase_ = context_.marks.linked > 0 ? Phase::walk : Phase::done;
    if (phase_ == Phase::walk && exact_after_ == 0) {
        complete();
        if (!std::isnan(context_.count_within)) {
            context_.statistics.not_in_memory = share_missing(context_);
            context_.statistics.within = estimate_within(context_);
        }
    }
    return {};
}

Result<std::optional<Hit>> Search::Progress::next() {
    for (;;) {
        auto linked = linked_head();
        if (!linked.ok())
            return std::move(linked).status();
        const Head head = linked.value();
        const Head tail = tail_head();
        if (!head && !tail) {
            // A walk that has returned nothing has missed nothing.
            if (phase_ != Phase::beyond || returned_.empty())
                return std::optional<Hit>();
            // Only now: everything in order has been returned.
            phase_ = Phase::missed;
            exact_.start(Ranked::first(), horizon_, returned_);
            continue;
        }
        const bool from_tail = !head || (tail && *tail < *head);
        const Ranked nearest = from_tail ? *tail : *head;
        const NodeId id = nearest.id();
        if (from_tail) {
            tail_.take();
        } else if (phase_ == Phase::walk) {
            step_behind(nearest);
            horizon_ =
                std::max(horizon_, measured_apart(id) ? nearest : nearest.with_id(place(id)));
            last_ = id;
            returned_.push_back(id);
        } else {
            exact_.take();
        }
        const std::uint64_t state = context_.nodes->state(id);
        return std::optional<Hit>(
            Hit{id, state_tid(state), context_.kernel.operator_value(nearest.distance())});
    }
}

std::size_t Search::Progress::likely_next(Tid *tids, std::size_t most) const noexcept {
    if (phase_ != Phase::walk || !round_done_)
        return 0;
    std::size_t count = last_ == nobody ? 0 : list_rows(last_, tids, most);
    // In the order of their estimates, by which the last one returned has a place among them.
    for (std::size_t i = 0; i < taken_ && count < most; ++i) {
        const Candidate candidate = unmarked(walk_.results()[i]);
        const NodeId id = candidate_id(candidate);
        if (Ranked(candidate_distance(candidate), id, Ranked::Kind::distance) <= horizon_)
            continue;
        const std::uint64_t state = context_.nodes->state(id);
        if (is_live(state))
            tids[count++] = state_tid(state);
        count += list_rows(id, tids + count, most - count);
    }
    return count;
}

// The live rows behind this one in its place.
std::size_t Search::Progress::list_rows(NodeId id, Tid *tids, std::size_t most) const noexcept {
    const NodeStore &nodes = *context_.nodes;
    const NodeId node = place(id);
    std::size_t count = 0;
    while (count < most && (id = next_twin(nodes, node, id, context_.marks.linked)) != nobody)
        if (const std::uint64_t state = nodes.state(id); is_live(state))
            tids[count++] = state_tid(state);
    return count;
}

// The nearest linked node to return next that is still live; nullopt when the phase has no more.
Result<Search::Progress::Head> Search::Progress::linked_head() {
    if (phase_ == Phase::walk) {
        auto head = walk_head();
        if (!head.ok() || head.value())
            return head;
        complete();
    }
    if (phase_ != Phase::beyond && phase_ != Phase::missed)
        return Head();
    for (;; exact_.take()) {
        auto head = exact_.nearest(context_);
        if (!head.ok() || (head.value() && context_.live(head.value()->id())))
            return head;
        if (!head.value()) {
            if (phase_ == Phase::missed)
                phase_ = Phase::done;
            return head;
        }
    }
}

// The nearest that the rounds so far have found, up to their edge.
Search::Progress::Head Search::Progress::head_of_round() {
    while (open_nearer_places(), !walked_.empty()) {
        const Ranked row = walked_.nearest(context_);
        const NodeId id = row.id();
        if (row > edge_) {
            if (edge_is_exact_)
                break;
            settle_edge();
            continue;
        }
        // A later round may find what an earlier one missed: too late for its place in the
        // order. It is the node that comes first, unless each row has a distance of its own.
        if (row <= horizon_ && (id == place(id) || measured_apart(id)))
            walked_.take();
        else if (context_.live(id))
            return Head(row);
        else
            step_behind(row);
    }
    return Head();
}

bool Search::Progress::next_is_at_hand() {
    if (phase_ != Phase::walk)
        return true;
    return round_done_ && head_of_round().has_value();
}

// Of what lies behind the edge, only that it is not next is known.
double Search::Progress::least_next() {
    constexpr double unknown = -std::numeric_limits<double>::infinity();
    if (phase_ != Phase::walk || !round_done_)
        return unknown;
    Ranked least = Ranked::last();
    if (!walked_.empty())
        least = std::min(least, walked_.least());
    if (!closed_.empty())
        least = std::min(least, closed_.nearest());
    if (least > edge_)
        return unknown;
    if (!tail_.empty())
        least = std::min(least, tail_.least());
    return context_.kernel.operator_value(least.distance());
}

// As above, from the walk alone; nullopt when it is exhausted or has returned enough.
Result<Search::Progress::Head> Search::Progress::walk_head() {
    for (;;) {
        if (const Head head = head_of_round())
            return head;
        if (round_done_ && (walk_.exhausted() || walked_enough()))
            return Head();
        round_done_ = false;
        const std::uint64_t before = context_.statistics.distances;
        DVEC_TRY(walk_.run_round(taken_));
        distances_of_round_ = context_.statistics.distances - before;
        round_done_ = true;
        taken_ = results_to_take();
        keep_started_places();
        if (walk_is_lost())
            return Head();
        for (std::size_t i = 0; i < taken_; ++i)
            add_walked(unmarked(walk_.results()[i]));
        // Whatever was not taken has an estimate beyond the last one's.
        edge_is_exact_ = false;
        if (taken_ > 0)
            edge_ = context_.likely_bound(unmarked(walk_.results()[taken_ - 1]));
    }
}

// Among the nearest are distances that float cannot hold, so nothing says which of their neighbours
// are nearer still.
bool Search::Progress::walk_is_lost() const noexcept {
    if (taken_ == 0 || any_order_)
        return false;
    return !std::isfinite(candidate_distance(walk_.results()[0])) ||
           !std::isfinite(candidate_distance(walk_.results()[taken_ - 1]));
}

// What was taken and what was not are told apart by estimates. Near the edge between them some of
// the others are nearer than some of those taken: they come in their place, too, and stay where
// they are, so that a later round meets them again and knows them for returned.
void Search::Progress::settle_edge() {
    // Rows of open places say nothing about how far the walk has come; they wait.
    edge_ = walked_.farthest(context_, edge_, [this](NodeId id) { return !measured_apart(id); });
    edge_is_exact_ = true;
    const auto take_nearer = [this](Candidate marked) {
        if (const Candidate estimate = unmarked(marked); context_.likely_bound(estimate) <= edge_)
            add_walked(estimate);
    };
    for (std::size_t i = taken_; i < walk_.results().size(); ++i)
        take_nearer(walk_.results()[i]);
    walk_.for_each_set_aside(take_nearer);
}

// A round is up to twice as wide as the one before.
bool Search::Progress::walked_enough() const noexcept {
    if (rest_ == Params::Rest::exact)
        return returned_.size() >= exact_after_;
    return context_.statistics.distances + 2 * distances_of_round_ > most_distances_;
}

// A twin that a link leads to comes by way of its node, and only so.
void Search::Progress::add_walked(Candidate estimate) {
    const NodeId id = candidate_id(estimate);
    if (is_twin(*context_.nodes, id) || measured_apart(id))
        return;
    const Ranked bound = context_.bound(estimate);
    if (has_near_twins(*context_.nodes, id, context_.marks.linked))
        set_place_aside(bound);
    else
        walked_.add(bound);
}

void Search::Progress::set_place_aside(Ranked node) {
    const NodeStore &nodes = *context_.nodes;
    if (!copies_)
        copies_.emplace(context_.kernel, context_.dimensions, nodes.layout().vector_bytes);
    apart_.reserve(1);
    apart_.insert(node.id());
    const double least = copies_->least(node.distance(), nodes.vector(node.id()), context_.query);
    closed_.add({least, node.id(), Ranked::Kind::bound});
}

// Those that may have a row before the nearest.
void Search::Progress::open_nearer_places() {
    while (!closed_.empty() && (walked_.empty() || closed_.nearest() < walked_.nearest(context_)))
        open_place(closed_.take_nearest().id());
}

void Search::Progress::open_place(NodeId node) {
    const NodeStore &nodes = *context_.nodes;
    if ((state_flags(nodes.state(node)) & slot_hole) != 0)
        return;
    for (NodeId id = node; id != nobody;) {
        const NodeId next = next_twin(nodes, node, id, context_.marks.linked);
        if (next != nobody)
            context_.prefetch(next);
        apart_.reserve(1);
        apart_.insert(id);
        if (context_.live(id))
            walked_.add(context_.bound(context_.estimate(id)));
        id = next;
    }
}

// Of the nodes beyond the edge those that were not taken are met again; the twins of one that came
// before it are not.
void Search::Progress::keep_started_places() {
    started_.clear();
    walked_.for_each([this](Ranked row) {
        if (is_twin(*context_.nodes, row.id()) || measured_apart(row.id()))
            started_.push_back(row);
    });
    walked_.reset(kept_entries);
    for (const Ranked row : started_)
        walked_.add(row);
}

// After a row of a place comes the next one, at the same distance, unless each has its own. Must be
// the first in walked_.
void Search::Progress::step_behind(Ranked row) {
    walked_.take();
    const NodeId id = row.id();
    if (measured_apart(id))
        return;
    const NodeStore &nodes = *context_.nodes;
    const NodeId node = place(id);
    if (id == node && (state_flags(nodes.state(id)) & slot_hole) != 0)
        return;
    if (const NodeId next = next_twin(nodes, node, id, context_.marks.linked); next != nobody)
        walked_.add(row.with_id(next));
}

// Of the rounds that widen the beam, the farther half waits for the next one: what that finds near
// the edge of this one's results then still comes in its place. The first round is what the caller
// asked for by `ef`, and costs no more.
std::size_t Search::Progress::results_to_take() const noexcept {
    const std::size_t results = walk_.results().size();
    const bool all = context_.statistics.rounds == 0 || walk_.exhausted();
    return all ? results : (results + 1) / 2;
}

Search::Progress::Head Search::Progress::tail_head() {
    for (; !tail_.empty(); tail_.take())
        if (const Ranked nearest = tail_.nearest(context_); context_.live(nearest.id()))
            return nearest;
    return Head();
}

void Search::Progress::complete() {
    if (exact_after_ > 0 && rest_ == Params::Rest::left_out) {
        context_.statistics.left_out = true;
        phase_ = Phase::done;
        return;
    }
    context_.statistics.exact = true;
    phase_ = Phase::beyond;
    std::sort(returned_.begin(), returned_.end());
    exact_.start(horizon_, Ranked::last(), returned_);
}

Search::Search() = default;
Search::~Search() = default;

Status Search::start(const NodeStore &nodes, const Watermarks &marks, const void *query,
                     const Params &params) {
    return base::guarded([&]() -> Status {
        if (!progress_)
            progress_ = std::make_unique<Progress>();
        return progress_->start(nodes, marks, query, params);
    });
}

Result<std::optional<Hit>> Search::next() {
    return base::guarded([&]() -> Result<std::optional<Hit>> {
        if (!progress_)
            return std::optional<Hit>();
        return progress_->next();
    });
}

Result<bool> Search::next_is_at_hand() {
    return base::guarded(
        [&]() -> Result<bool> { return progress_ && progress_->next_is_at_hand(); });
}

double Search::least_next() {
    return progress_ ? progress_->least_next() : -std::numeric_limits<double>::infinity();
}

void Search::limit_distances(std::uint64_t most) noexcept {
    if (progress_)
        progress_->limit_distances(most);
}

std::size_t Search::likely_next(Tid *tids, std::size_t most) const noexcept {
    return progress_ ? progress_->likely_next(tids, most) : 0;
}

const SearchStatistics &Search::statistics() const noexcept {
    static constexpr SearchStatistics nothing;
    return progress_ ? progress_->statistics() : nothing;
}

std::size_t Search::memory_bytes() const noexcept {
    return progress_ ? progress_->memory_bytes() : 0;
}

}  // namespace dvec::graph
