// The walk's inner loops. Everything read from link lists is treated as untrusted: counts are
// clamped, ids and block references are checked against bounds, and an id at or beyond `linked` is
// skipped.
#include "engine/graph/graph_walk.hpp"

#include <algorithm>
#include <limits>
#include <span>

#include "engine/graph/twins.hpp"

namespace dvec::graph {

using base::Code;
using base::Status;

namespace {

// A beam wider than this costs more in moving entries than it saves in rounds.
constexpr std::size_t usual_widest = 1024;
// With a filter the beam also has room for nodes that are to be expanded and are no results, so
// that few have to be fetched from those set aside: it has at least so many places, and at least
// twice as many as there are results.
constexpr std::size_t roomy = 128;

// Of so many lists one brings a sample for the first look.
constexpr std::uint64_t lists_per_sample = 4;

// Of a block of link codes so many lines are worth prefetching: all of them are wanted at once, and
// a stream of the processor's own begins late.
constexpr std::size_t most_block_lines_ahead = 32;

// A descent keeps one node for so many candidates of the beam, but at least two: the nearest alone
// leads into a wrong cluster now and then, and what is found there fills the beam. More than eight
// cost more than they find.
constexpr std::size_t beam_per_descent = 12;
constexpr std::size_t narrowest_descent = 2, widest_descent = 8;
// A descent hardly ever meets half as many nodes.
constexpr std::size_t descent_places = 512;

constexpr float infinity = std::numeric_limits<float>::infinity();

}  // namespace

void GraphWalk::start(SearchContext &context, std::uint32_t ef, NodeId without) {
    context_ = &context;
    width_ = ef;
    widest_ = std::max<std::size_t>(ef, usual_widest);
    started_ = in_round_ = left_ = false;
    admitted_ = refused_ = 0;
    beam_.reset(capacity());
    nearest_aside_ = Beam::none;
    // A search visits some 16 new nodes per expansion and expands little more than ef.
    visited_.reset(std::size_t{ef} * 32);
    without_ = without;
    if (without != nobody)
        visited_.insert(without);
    set_aside_.reset(kept_entries);
    deferred_.reset(kept_entries);
    followed_.clear();
    looked_back_ = false;
    look_.begin(context.nodes->layout(), context.kernel, context.dimensions, context.query);
    unseen_.resize(context.nodes->layout().level0_links());
    if (guesses() && !codes_query_.reset(*context.link_codes, context.query))
        context.link_codes.reset();
}

Status GraphWalk::run_round(std::size_t taken, NodeId until) {
    if (!in_round_) {
        fill_beam(taken);
        in_round_ = true;
    }
    for (Candidate nearest; (nearest = next()) != Beam::none;) {
        if (context_->stop_requested())
            return Status(Code::interrupted, "search was interrupted");
        if (until != nobody && met(until))
            break;
        const NodeId id = candidate_id(nearest);
        ++context_->statistics.expanded;
        if (is_twin(*context_->nodes, id)) {
            follow_twin(id);
            continue;
        }
        if (guesses()) {
            expand_by_codes(id);
            continue;
        }
        if (context_->admits_place(id)) {
            ++admitted_;
            beam_.mark_next_expanded();
        } else if (context_->filter == nullptr) {
            replace_next();
        } else if (!refuse_next()) {
            left_ = true;
            break;
        }
        expand(id);
    }
    in_round_ = false;
    if (context_->filter != nullptr && context_->statistics.rounds == 0)
        context_->plan.note_walk(context_->statistics.distances, context_->statistics.expanded);
    if (context_->filter != nullptr)
        beam_.cut_at_next([this](Candidate candidate) { set_aside_.add(candidate); });
    return {};
}

// The candidate to expand next; none when the round is at its end.
Candidate GraphWalk::next() {
    if (context_->filter == nullptr) {
        if (guesses() && beam_.next() == Beam::none && !beam_.full())
            fill_by_guesses();
        return beam_.next();
    }
    if (beam_.expanded_in_front() >= wanted_)
        return Beam::none;
    if (beam_.next() == Beam::none)
        refill();
    return beam_.next();
}

void GraphWalk::fill_beam(std::size_t taken) {
    refused_before_ = refused_;
    if (!started_) {
        started_ = true;
        wanted_ = width_;
        descend();
        return;
    }
    stop_guessing();
    ++context_->statistics.rounds;
    width_ = std::min(width_ * 2, widest_);
    wanted_ = width_;
    beam_.drop_front(taken, capacity());
    refill();
}

// Fills the beam up with the nearest candidates that are set aside.
void GraphWalk::refill() {
    while (!beam_.full() && any_aside())
        beam_.insert(take_set_aside());
    if (context_->filter != nullptr)
        nearest_aside_ = any_aside() ? nearest_set_aside() : Beam::none;
}

// How many candidates the beam of the next round holds.
std::size_t GraphWalk::capacity() const noexcept {
    return context_->filter == nullptr ? width_ : std::max(2 * width_, roomy);
}

// Takes out a node that was expanded only because it may lead to results. Its place in the beam
// goes to the best candidate set aside; with a filter, to whatever the walk meets next that is
// nearer than all of those.
void GraphWalk::replace_next() {
    beam_.remove_next();
    replace_removed();
}

void GraphWalk::replace_removed() {
    if (guesses()) {
        if (!set_aside_.empty())
            take_guess(set_aside_);
    } else if (context_->filter == nullptr && any_aside()) {
        beam_.insert(take_set_aside());
    }
}

// Takes out a node that the filter refuses, which also makes the round narrower. Returns whether to
// walk on.
bool GraphWalk::refuse_next() {
    ++context_->statistics.refused;
    ++refused_;
    replace_next();
    wanted_ = FilterPlan::results_wanted(width_, refused_ - refused_before_);
    const std::size_t found = std::min(beam_.expanded_in_front(), wanted_);
    return !context_->plan.prefers_pass(
        {context_->statistics.distances, admitted_, refused_, wanted_ - found, width_});
}

// A link from before a crash may lead to a row that has been linked again as the twin of another
// node.
void GraphWalk::follow_twin(NodeId id) {
    replace_next();
    const NodeId node = named_node(*context_->nodes, id);
    visited_.reserve(1);
    if (node < context_->marks.linked && !is_twin(*context_->nodes, node) && visited_.insert(node))
        offer(context_->estimate(node));
}

// The node gives up the place in the beam that it was guessed to have, and takes the one that its
// distance gives it.
void GraphWalk::expand_by_codes(NodeId id) {
    beam_.remove_next();
    prefetch_links(beam_.next());
    const Candidate measured = context_->estimate(id);
    if (context_->admits_place(id))
        beam_.insert(measured | expanded_bit);
    else
        replace_removed();
    if (!follow_codes(id, candidate_distance(measured)))
        expand(id);
}

// Guesses the distances of the node's neighbours. False where its codes are not those of its links.
bool GraphWalk::follow_codes(NodeId id, float distance) {
    const LinkCodes &codes = *context_->link_codes;
    if (id >= context_->coded || !codes.current(id))
        return false;
    const NodeId linked = context_->marks.linked;
    visited_.reserve(codes.blocks() * distance::codes_at_once);
    followed_.push_back({id, distance});
    for (std::uint32_t number = 0; number < codes.blocks(); ++number) {
        const std::byte *block = codes.block(id, number);
        const std::atomic<NodeId> *ids = LinkCodes::ids(block);
        float distances[distance::codes_at_once];
        codes_query_.estimate(block, distance, distances);
        context_->statistics.estimated += distance::codes_at_once;
        const float farthest = looked_back_ ? infinity : farthest_in_beam();
        for (std::size_t i = 0; i < distance::codes_at_once; ++i) {
            if (distances[i] > farthest)
                continue;
            if (const NodeId neighbour = ids[i].load(std::memory_order_relaxed); neighbour < linked)
                offer_guess(make_candidate(distances[i], neighbour));
        }
    }
    prefetch_links(beam_.next());
    return true;
}

// What is farther has no place in the beam.
float GraphWalk::farthest_in_beam() const noexcept {
    return beam_.full() ? candidate_distance(beam_[beam_.size() - 1]) : infinity;
}

// A node that does not fit into the beam may be met again by a link from nearer by, whose code says
// more. So it counts as met only when it has been in the beam.
void GraphWalk::offer_guess(Candidate candidate) {
    if (!beam_.accepts(candidate)) {
        if (looked_back_)
            deferred_.add(candidate);
        return;
    }
    if (!visited_.insert(candidate_id(candidate)))
        return;
    const Candidate evicted = beam_.insert(candidate);
    if (evicted != Beam::none)
        set_aside_.add(evicted);
}

// Guesses that did not fit into the beam are seldom wanted, and then they are made again. From here
// on they are kept.
void GraphWalk::look_back() {
    if (looked_back_)
        return;
    looked_back_ = true;
    const LinkCodes &codes = *context_->link_codes;
    for (const auto &[id, distance] : followed_)
        for (std::uint32_t number = 0; number < codes.blocks(); ++number) {
            const std::byte *block = codes.block(id, number);
            float distances[distance::codes_at_once];
            codes_query_.estimate(block, distance, distances);
            context_->statistics.estimated += distance::codes_at_once;
            for (std::size_t i = 0; i < distance::codes_at_once; ++i)
                if (const NodeId neighbour =
                        LinkCodes::ids(block)[i].load(std::memory_order_relaxed);
                    neighbour < context_->marks.linked && !visited_.contains(neighbour))
                    deferred_.add(make_candidate(distances[i], neighbour));
        }
}

// Puts the nearest guess into the beam, if it has not been there.
void GraphWalk::take_guess(CandidateHeap &from) {
    const Candidate guess = from.take_nearest();
    visited_.reserve(1);
    if (&from == &set_aside_ || visited_.insert(candidate_id(guess)))
        beam_.insert(guess);
}

// Where nodes that are no results have left room in the beam, the nearest guesses that were set
// aside get it, until one of them is to be expanded.
void GraphWalk::fill_by_guesses() {
    look_back();
    while (beam_.next() == Beam::none && !beam_.full() && any_aside()) {
        const bool from_deferred =
            set_aside_.empty() ||
            (!deferred_.empty() && deferred_.nearest() < set_aside_.nearest());
        take_guess(from_deferred ? deferred_ : set_aside_);
    }
}

// Measures what was set aside by guesses. From here on the walk goes by the links.
void GraphWalk::stop_guessing() {
    if (!guesses())
        return;
    look_back();
    std::vector<Candidate> guesses = set_aside_.entries();
    set_aside_.reset(kept_entries);
    for (const Candidate candidate : guesses)
        set_aside_.add(is_expanded(candidate) ? candidate
                                              : context_->estimate(candidate_id(candidate)));
    guesses = deferred_.entries();
    deferred_.reset(kept_entries);
    visited_.reserve(guesses.size());
    for (const Candidate candidate : guesses)
        if (visited_.insert(candidate_id(candidate)))
            set_aside_.add(context_->estimate(candidate_id(candidate)));
    context_->link_codes.reset();
}

void GraphWalk::offer(Candidate candidate) {
    if (candidate >= nearest_aside_ || !beam_.accepts(candidate)) {
        set_aside(candidate);
        return;
    }
    const Candidate evicted = beam_.insert(candidate);
    if (evicted != Beam::none)
        set_aside(evicted);
}

// With a filter the beam may get room again. A candidate that comes later must not take that room
// before nearer ones that are set aside, so the distance of the nearest one is noted.
void GraphWalk::set_aside(Candidate candidate) {
    if (context_->filter != nullptr)
        nearest_aside_ = std::min(nearest_aside_, candidate);
    set_aside_.add(candidate);
}

// Prefetches the links of the candidate that is to be expanded next. This is called twice: after
// the vectors have been prefetched, so that the links arrive while the vectors are measured; and
// again after they are measured, since one of the measured nodes may be next now. Before the
// vectors it would only delay them, and so would the vectors of the next candidate's neighbours:
// the burst of vectors alone keeps the processor's miss buffers full.
[[gnu::always_inline]] inline void GraphWalk::prefetch_links(Candidate candidate) const noexcept {
    if (candidate == Beam::none)
        return;
    const NodeStore &nodes = *context_->nodes;
    const NodeId id = candidate_id(candidate);
    if (!guesses()) {
        prefetch_lines(nodes.slot(id), nodes.layout().link_lines());
        return;
    }
    prefetch_lines(nodes.slot(id), 1);
    context_->prefetch(id);
    if (id < context_->coded)
        prefetch_lines(context_->link_codes->block(id, 0),
                       std::min(context_->link_codes->block_lines(), most_block_lines_ahead));
}

// Where the list of a node names the one that the walk goes past: what stood there if that were not
// in the graph, as far as its own list tells. That is the nearest of its neighbours that the node
// has no link to, since whoever is nearer to another neighbour than to the node is left out of the
// node's list. Without it the walk would meet fewer nodes than in a graph that never had that one.
NodeId GraphWalk::stand_in_for(NodeId of) const noexcept {
    const NodeStore &nodes = *context_->nodes;
    const auto links_of = [&nodes](NodeId id) {
        const std::uint32_t count =
            std::min(nodes.slot(id)->link_count.load(std::memory_order_acquire),
                     nodes.layout().level0_links());
        return std::span(nodes.links(id), count);
    };
    const auto has_link = [known = links_of(of)](NodeId id) {
        return std::ranges::any_of(known, [id](const auto &link) { return link.load() == id; });
    };
    Candidate nearest = Beam::none;
    for (const std::atomic<NodeId> &link : links_of(without_)) {
        const NodeId id = link.load(std::memory_order_relaxed);
        if (id < context_->marks.linked && id != of && !has_link(id))
            nearest = std::min(nearest, make_candidate(context_->kernel.distance(
                                                           nodes.vector(of), nodes.vector(id),
                                                           context_->dimensions),
                                                       id));
    }
    return nearest == Beam::none ? nobody : candidate_id(nearest);
}

void GraphWalk::expand(NodeId id) {
    SearchContext &context = *context_;
    const NodeStore &nodes = *context.nodes;
    const std::uint32_t linked = context.marks.linked;
    const std::atomic<NodeId> *links = nodes.links(id);
    const std::uint32_t count = std::min(nodes.slot(id)->link_count.load(std::memory_order_acquire),
                                         nodes.layout().level0_links());
    visited_.reserve(count);
    NodeId *unseen = unseen_.data();
    std::size_t unseen_count = 0;
    // The first look needs a beam to compare with.
    const bool looks = look_.useful() && !guesses() && beam_.full();
    for (std::uint32_t i = 0; i < count; ++i) {
        NodeId neighbour = links[i].load(std::memory_order_relaxed);
        if (neighbour >= linked)
            continue;
        if (!visited_.insert(neighbour)) {
            if (neighbour != without_) [[likely]]
                continue;
            neighbour = stand_in_for(id);
            if (neighbour == nobody || !visited_.insert(neighbour))
                continue;
        }
        context.prefetch(neighbour, looks && unseen_count > 0 ? look_.lines() : context.lines);
        unseen[unseen_count++] = neighbour;
    }
    prefetch_links(beam_.next());
    if (look_.useful() && !guesses())
        unseen_count = look_first(unseen, unseen_count);
    measure(unseen, unseen_count);
    prefetch_links(beam_.next());
}

// Measures a node whole after its first look, and learns from it what such a look says.
Candidate GraphWalk::measure_and_learn(NodeId id, const FirstLook::Seen &seen) noexcept {
    const Candidate candidate = context_->estimate(id);
    look_.learn(seen, candidate_distance(candidate));
    return candidate;
}

// Looks at the nodes and defers those that will hardly have a place in the beam. Returns how many
// are left to be measured: they come first in `nodes`. The first node of some lists is measured
// whole, so that what is learned is learned from nodes of all kinds.
std::size_t GraphWalk::look_first(NodeId *nodes, std::size_t count) {
    SearchContext &context = *context_;
    std::size_t left = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const NodeId id = nodes[i];
        const FirstLook::Seen seen = look_.look(context.nodes->code(id));
        if (!beam_.full() || look_.learning() ||
            (i == 0 && context.statistics.expanded % lists_per_sample == 0)) {
            offer(measure_and_learn(id, seen));
            continue;
        }
        const float least = look_.least(seen);
        if (least > candidate_distance(beam_[beam_.size() - 1])) {
            defer(make_candidate(least, id));
        } else {
            context.prefetch(id, context.lines);
            nodes[left++] = id;
        }
    }
    return left;
}

void GraphWalk::measure(const NodeId *nodes, std::size_t count) {
    SearchContext &context = *context_;
    std::size_t measured = 0;
    if (context.worth_a_batch())
        for (; measured + SearchContext::batch <= count; measured += SearchContext::batch) {
            Candidate candidates[SearchContext::batch];
            context.estimate_batch(nodes + measured, candidates);
            for (const Candidate candidate : candidates)
                offer(candidate);
        }
    for (; measured < count; ++measured)
        offer(context.estimate(nodes[measured]));
}

// To be measured when what is set aside is wanted. `least` says how near the node may be.
void GraphWalk::defer(Candidate least) {
    if (context_->filter != nullptr)
        nearest_aside_ = std::min(nearest_aside_, least);
    deferred_.add(least);
}

void GraphWalk::measure_deferred() {
    set_aside_.add(context_->estimate(candidate_id(deferred_.take_nearest())));
}

// The nearest that is set aside. There must be one.
Candidate GraphWalk::nearest_set_aside() {
    while (!deferred_.empty() && (set_aside_.empty() || deferred_.nearest() < set_aside_.nearest()))
        measure_deferred();
    return set_aside_.nearest();
}

Candidate GraphWalk::take_set_aside() {
    nearest_set_aside();
    return set_aside_.take_nearest();
}

// Goes from the entry point down the upper levels; its nearest nodes are where the walk on level 0
// begins.
void GraphWalk::descend() {
    above_.reset(std::clamp(width_ / beam_per_descent, narrowest_descent, widest_descent));
    seen_above_.reset(descent_places);
    const EntryPoint entry = context_->marks.entry_point;
    seen_above_.reserve(1);
    seen_above_.insert(entry.id);
    above_.insert(context_->estimate(entry.id));
    for (int level = std::min(entry.level, max_level); level > 0; --level)
        descend_level(level);
    visited_.reserve(above_.size());
    for (std::size_t i = 0; i < above_.size(); ++i)
        if (const Candidate candidate = unexpanded(above_[i]); guesses())
            offer_guess(candidate);
        else if (visited_.insert(candidate_id(candidate)))
            offer(candidate);
}

// The node as a candidate, if it may have a place among the nearest; none otherwise. Nobody will
// want those that the descent passes by: they are not deferred.
Candidate GraphWalk::measure_above(NodeId id) noexcept {
    if (!look_.useful())
        return context_->estimate(id);
    const FirstLook::Seen seen = look_.look(context_->nodes->code(id));
    if (above_.full() && look_.least(seen) > candidate_distance(above_[above_.size() - 1]))
        return Beam::none;
    return look_.learning() ? measure_and_learn(id, seen) : context_->estimate(id);
}

// Expands the nearest nodes until all that are left are expanded on this level. No node is measured
// twice, so this ends even on lists that change meanwhile.
void GraphWalk::descend_level(int level) {
    const NodeStore &nodes = *context_->nodes;
    const Layout &layout = nodes.layout();
    above_.forget_expanded();
    for (Candidate nearest; (nearest = above_.next()) != Beam::none;) {
        above_.mark_next_expanded();
        const NodeId at = candidate_id(nearest);
        const std::uint32_t reference = nodes.slot(at)->upper.load(std::memory_order_acquire);
        const std::uint64_t block = std::uint64_t{reference} + static_cast<unsigned>(level) - 2;
        if (reference == 0 || block >= nodes.mapped_upper_blocks() ||
            node_level(at, layout.m) < level)
            continue;
        const auto *words = nodes.upper_block(static_cast<std::uint32_t>(block));
        const std::uint32_t count = std::min(words[0].load(std::memory_order_acquire), layout.m);
        NodeId *unseen = unseen_.data();
        std::size_t unseen_count = 0;
        seen_above_.reserve(count);
        for (std::uint32_t i = 1; i <= count; ++i) {
            const NodeId id = words[i].load(std::memory_order_relaxed);
            if (id >= context_->marks.linked || !seen_above_.insert(id))
                continue;
            unseen[unseen_count++] = id;
            context_->prefetch(id, look_.useful() ? look_.lines() : context_->lines);
        }
        for (std::size_t i = 0; i < unseen_count; ++i) {
            const Candidate candidate = measure_above(unseen[i]);
            if (candidate == Beam::none || !above_.accepts(candidate))
                continue;
            above_.insert(candidate);
            // It tells where the node's lists are.
            prefetch_lines(nodes.slot(unseen[i]), 1);
        }
    }
}

std::size_t GraphWalk::memory_bytes() const noexcept {
    return beam_.memory_bytes() + visited_.memory_bytes() + above_.memory_bytes() +
           seen_above_.memory_bytes() + set_aside_.memory_bytes() + deferred_.memory_bytes() +
           unseen_.capacity() * sizeof(NodeId) + followed_.capacity() * sizeof(followed_[0]);
}

}  // namespace dvec::graph
