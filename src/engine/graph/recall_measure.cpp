#include "engine/graph/recall_measure.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "engine/distance/compact.hpp"
#include "engine/graph/mixed_bits.hpp"
#include "engine/graph/twins.hpp"

namespace dvec::graph {

using base::Status;

namespace {

// Of an index with few rows a part of them asks: its searches are quick, however wide.
constexpr std::size_t most_queries = 2048;
constexpr std::size_t least_queries = 64;
constexpr NodeId rows_for_a_query = 4;
// Bytes of vectors that may be measured to know the nearest rows exactly: some ten seconds.
constexpr double most_bytes = 128e9;
// Rows of which every query measures the distance before the next ones are read, so that they stay
// in the cache.
constexpr NodeId rows_of_block = 64;
// From this ef on fewer and fewer queries are made, so that each ef takes about the same time.
constexpr std::uint32_t ef_of_all_queries = 160;
// A walk measures about so many rows for each candidate, and a search whose walk would measure all
// of them does that instead.
constexpr std::uint64_t measured_per_candidate = 16;
// No target is above.
constexpr double highest_target = 0.999;

constexpr std::size_t kept = curve_neighbours.back();

// Drawn from about a normal distribution, the same for the same number; never farther than this
// from 0.
constexpr double farthest_draw = 3.5;
double draw(std::uint64_t number) {
    number = mixed_bits(number);
    constexpr double middle = 65535 / 2.0;
    double sum = 0;
    for (int part = 0; part < 4; ++part, number >>= 16)
        sum += static_cast<double>(number & 0xFFFF) - middle;
    return sum * std::sqrt(3.0) / 65536;
}

// The numbers 0, 1, 2, ... spread evenly over [0, end), the same for all time.
NodeId spread(std::uint32_t number, NodeId end) {
    constexpr std::uint32_t golden = 0x9E3779B9u;  // the multiples of 2^32 / phi fill 2^32 evenly
    return static_cast<NodeId>(std::uint64_t{number * golden} * end >> 32);
}

}  // namespace

NodeId RecallMeasure::rows_to_measure(const SharedState &state) noexcept {
    const NodeId linked = state.linked.load();
    return linked - std::min(linked, state.deleted.load());
}

RecallMeasure::RecallMeasure(const NodeStore &nodes, const SharedState &state, const Params &params)
    : nodes_(nodes),
      params_(params),
      moves_(distance::compact_bits(params.kernel.element) != 0),
      marks_(Watermarks::load(state)) {
    marks_.linked = std::min(marks_.linked, nodes.mapped_slots());
    // Rows of the tail are found by every search, however narrow.
    marks_.allocated = marks_.linked;
    curve_.generation = params.generation;
    curve_.rows = rows_to_measure(state);
    take_sample();
}

void RecallMeasure::take_sample() {
    const double bytes =
        static_cast<double>(curve_.rows) * static_cast<double>(nodes_.layout().vector_bytes);
    const double affordable = most_bytes / std::max(bytes, 1.0);
    const bool all = affordable >= least_queries;
    const double most = all ? std::min<double>(affordable, most_queries) : 2.0 * least_queries;
    const auto wanted =
        std::min(static_cast<std::size_t>(most),
                 std::max(least_queries, static_cast<std::size_t>(curve_.rows / rows_for_a_query)));
    std::unordered_set<NodeId> places;
    for (std::uint32_t number = 0;
         number < 4 * wanted && queries_.size() < std::min<std::size_t>(wanted, curve_.rows);
         ++number) {
        const NodeId row = spread(number, marks_.linked);
        if (!is_fit_to_ask(row) || !places.insert(place_of(nodes_, row)).second)
            continue;
        queries_.push_back({row, place_of(nodes_, row), {}, {}});
        // What asks is what the row's compact vector stands for.
        if (moves_)
            queries_.back().spread = {params_.kernel.metric, params_.dimensions, nodes_.vector(row),
                                      0};
    }
    curve_.queries = static_cast<std::uint32_t>(queries_.size());
    phase_ = all ? Phase::measuring_all : Phase::walking_far;
}

// Who leaves out a node of an upper level leaves out more of the graph than a query does that is
// not in it.
bool RecallMeasure::is_fit_to_ask(NodeId row) const {
    const NodeId place = place_of(nodes_, row);
    if (!is_live(nodes_.state(row)) || place >= marks_.linked || place == marks_.entry_point.id ||
        node_level(place, nodes_.layout().m) > 0)
        return false;
    const std::byte *vector = nodes_.vector(row);
    return std::isfinite(params_.kernel.distance(vector, vector, params_.dimensions));
}

Status RecallMeasure::step() {
    return base::guarded([&]() -> Status {
        switch (phase_) {
            case Phase::measuring_all:
                measure_block();
                return {};
            case Phase::walking_far:
                return walk_far();
            case Phase::walking:
                return walk();
            case Phase::done:
                break;
        }
        return {};
    });
}

void RecallMeasure::measure_block() {
    nodes_.expect(base::Reading::in_order);
    const NodeId end = std::min(marks_.linked, next_row_ + rows_of_block);
    NodeId rows[rows_of_block];
    std::size_t count = 0;
    for (NodeId row = next_row_; row < end; ++row)
        if (is_live(nodes_.state(row)))
            rows[count++] = row;
    for (Query &query : queries_)
        measure_rows(rows, count, query);
    next_row_ = end;
    if (end == marks_.linked)
        begin_walking();
}

void RecallMeasure::measure_rows(const NodeId *rows, std::size_t count, Query &query) {
    constexpr std::size_t batch = 4;
    const std::byte *asked = nodes_.vector(query.row);
    std::size_t at = 0;
    for (; at + batch <= count; at += batch) {
        const void *vectors[batch];
        float distances[batch];
        for (std::size_t i = 0; i < batch; ++i)
            vectors[i] = nodes_.vector(rows[at + i]);
        params_.kernel.four_distances(asked, vectors, params_.dimensions, distances);
        for (std::size_t i = 0; i < batch; ++i)
            offer(query, rows[at + i], distances[i]);
    }
    for (; at < count; ++at)
        offer(query, rows[at],
              params_.kernel.distance(asked, nodes_.vector(rows[at]), params_.dimensions));
}

// `distance` is the whole distance rounded to float, so a row that is farther by it than the
// farthest is no nearer.
void RecallMeasure::offer(Query &query, NodeId row, float distance) {
    if (std::isnan(distance) || place_of(nodes_, row) == query.place)
        return;
    if (moves_)
        return offer_moved(query, row, distance);
    if (query.nearest.size() < kept || distance <= static_cast<float>(query.nearest.front()))
        keep(query, params_.kernel.whole_distance(nodes_.vector(query.row), nodes_.vector(row),
                                                  params_.dimensions));
}

void RecallMeasure::offer_moved(Query &query, NodeId row, float distance) {
    const double told = params_.kernel.operator_value(double{distance});
    if (query.nearest.size() == kept &&
        query.spread.moved(told, -farthest_draw * query.widest) > query.nearest.front())
        return;
    query.widest = std::max(query.widest, query.spread.to(told, nodes_.vector(row)));
    keep(query, moved(query, row,
                      params_.kernel.operator_value(params_.kernel.whole_distance(
                          nodes_.vector(query.row), nodes_.vector(row), params_.dimensions))));
}

// The same for the same two rows, whenever it is asked for.
double RecallMeasure::moved(const Query &query, NodeId row, double distance) const {
    return query.spread.moved(distance, query.spread.to(distance, nodes_.vector(row)) *
                                            draw(std::uint64_t{query.row} << 32 | row));
}

void RecallMeasure::keep(Query &query, double distance) const {
    std::vector<double> &nearest = query.nearest;
    if (nearest.size() == kept) {
        if (distance >= nearest.front())
            return;
        std::pop_heap(nearest.begin(), nearest.end());
        nearest.back() = distance;
    } else {
        nearest.push_back(distance);
    }
    std::push_heap(nearest.begin(), nearest.end());
}

Status RecallMeasure::walk_far() {
    if (next_query_ < queries_.size()) {
        Query &query = queries_[next_query_];
        DVEC_TRY(search(query, curve_efs.back()));
        query.nearest = found_;
        ++next_query_;
    }
    if (next_query_ == queries_.size())
        begin_walking();
    return {};
}

// What is left undone is that which no search does, and what cannot miss anything.
void RecallMeasure::begin_walking() {
    for (Query &query : queries_) {
        if (phase_ == Phase::measuring_all && !moves_)
            for (double &distance : query.nearest)
                distance = params_.kernel.operator_value(distance);
        std::sort(query.nearest.begin(), query.nearest.end());
    }
    for (auto &points : curve_.points)
        points.fill({1, 0});
    next_query_ = ef_ = 0;
    phase_ = queries_.empty() || marks_.linked <= measured_per_candidate * curve_efs.front()
                 ? Phase::done
                 : Phase::walking;
}

std::size_t RecallMeasure::queries_of(std::uint32_t ef) const noexcept {
    const std::size_t some = queries_.size() * ef_of_all_queries / std::max(ef, 1u);
    return std::clamp(some, std::min(least_queries, queries_.size()), queries_.size());
}

Status RecallMeasure::walk() {
    const std::uint32_t ef = curve_efs[ef_];
    const Query &query = queries_[next_query_];
    DVEC_TRY(search(query, ef));
    count_found(query, ef);
    if (++next_query_ >= queries_of(ef))
        end_ef();
    return {};
}

// Leaves the distances of the first hits in found_, in order.
Status RecallMeasure::search(const Query &query, std::uint32_t ef) {
    Search::Params params;
    params.kernel = params_.kernel;
    params.dimensions = params_.dimensions;
    params.ef = ef;
    params.rest = Search::Params::Rest::left_out;
    params.without = query.place;
    found_.clear();
    DVEC_TRY(search_.start(nodes_, marks_, nodes_.vector(query.row), params));
    // Of compact vectors all that was found is put in order.
    for (const std::size_t wanted = moves_ ? ef : std::min<std::size_t>(ef, kept);
         found_.size() < wanted;) {
        auto hit = search_.next();
        DVEC_TRY(hit);
        if (!hit.value())
            break;
        const double distance = hit.value()->distance;
        found_.push_back(moves_ ? moved(query, hit.value()->id, distance) : distance);
    }
    if (moves_)
        std::sort(found_.begin(), found_.end());
    if (found_.size() > kept)
        found_.resize(kept);
    return {};
}

// Rows at the distance of the last of the nearest count as any of them.
void RecallMeasure::count_found(const Query &query, std::uint32_t ef) {
    for (std::size_t i = 0; i < curve_neighbours.size(); ++i) {
        const std::size_t wanted = std::min<std::size_t>(curve_neighbours[i], query.nearest.size());
        if (curve_neighbours[i] > ef)
            continue;
        double recall = 1;
        if (wanted > 0) {
            const double farthest = query.nearest[wanted - 1];
            const auto end =
                found_.begin() + static_cast<std::ptrdiff_t>(std::min(wanted, found_.size()));
            const auto right = std::count_if(
                found_.begin(), end, [farthest](double distance) { return distance <= farthest; });
            recall = static_cast<double>(right) / static_cast<double>(wanted);
        }
        sums_[i].recall += recall;
        sums_[i].squares += recall * recall;
        ++sums_[i].queries;
    }
}

// Notes what the queries found with one ef, and goes on to the next that has something to tell.
void RecallMeasure::end_ef() {
    for (std::size_t i = 0; i < curve_neighbours.size(); ++i) {
        const Sum &sum = sums_[i];
        if (sum.queries == 0)
            continue;
        const double mean = sum.recall / sum.queries;
        const double variance = std::max(0.0, sum.squares / sum.queries - mean * mean);
        const RecallCurve::Point point{static_cast<float>(mean),
                                       static_cast<float>(std::sqrt(variance / sum.queries))};
        // A wider search is taken for no worse, until it is measured.
        std::fill(curve_.points[i].begin() + static_cast<std::ptrdiff_t>(ef_),
                  curve_.points[i].end(), point);
    }
    sums_ = {};
    next_query_ = 0;
    for (++ef_; ef_ < curve_efs.size(); ++ef_) {
        // Searches this wide measure every row.
        if (marks_.linked <= measured_per_candidate * curve_efs[ef_])
            break;
        for (std::size_t i = 0; i < curve_neighbours.size(); ++i)
            if (curve_neighbours[i] <= curve_efs[ef_] && !is_settled(i))
                return;
    }
    for (auto &points : curve_.points)
        std::fill(points.begin() + static_cast<std::ptrdiff_t>(ef_), points.end(),
                  RecallCurve::Point{1, 0});
    phase_ = Phase::done;
}

bool RecallMeasure::is_settled(std::size_t neighbours) const noexcept {
    const RecallCurve::Point &point = curve_.points[neighbours][ef_ - 1];
    const bool measured = curve_efs[ef_ - 1] >= curve_neighbours[neighbours];
    return measured && double{point.recall} - 3 * double{point.error} >= highest_target;
}

}  // namespace dvec::graph
