// Measures the recall curve of a graph: a sample of its rows ask for their neighbours, once by
// measuring every row (or, where those are too many, by a walk much wider than any that is tried),
// and then by walks of growing width. The row that asks is taken for one that is not in the graph,
// with all that share its place: a row finds its own neighbours by its links, which a query that
// comes from outside does not have.
//
// Searches of compact vectors put what they find into the order of distances that the graph does
// not know. As far apart as these and its own are on average (distance/compact_spread.hpp), as far
// each distance is moved, at random: the nearest are looked for by moved distances among those that
// a walk has found by its own.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/status.hpp"
#include "engine/distance/compact_spread.hpp"
#include "engine/distance/kernel.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/graph/recall_curve.hpp"
#include "engine/graph/search.hpp"

namespace dvec::graph {

// The work is done in pieces. Others may insert, link and delete meanwhile; the measurement is of
// the rows that were linked when it began. One thread at a time.
class RecallMeasure {
  public:
    struct Params {
        distance::Kernel kernel;
        std::uint32_t dimensions = 0;
        std::uint64_t generation = 0;
    };

    // About how many rows are there to be found in the graph.
    static NodeId rows_to_measure(const SharedState &state) noexcept;

    // `nodes` must outlive the measurement, and its mapping must cover what is linked now.
    RecallMeasure(const NodeStore &nodes, const SharedState &state, const Params &params);

    // Does some milliseconds' work; must not be called when done().
    base::Status step();
    bool done() const noexcept { return phase_ == Phase::done; }
    const RecallCurve &curve() const noexcept { return curve_; }

  private:
    enum class Phase : std::uint8_t { measuring_all, walking_far, walking, done };

    // A row that asks.
    struct Query {
        NodeId row;
        NodeId place;
        // The nearest distances found so far, a heap with the farthest first; sorted when all are
        // known.
        std::vector<double> nearest;
        // Of compact vectors; and the greatest spread met.
        distance::CompactSpread spread;
        double widest = 0;
    };

    // Of one ef: what the queries found for each number of neighbours.
    struct Sum {
        double recall = 0;
        double squares = 0;
        std::uint32_t queries = 0;
    };

    void take_sample();
    bool is_fit_to_ask(NodeId row) const;
    void measure_block();
    void measure_rows(const NodeId *rows, std::size_t count, Query &query);
    void offer(Query &query, NodeId row, float distance);
    void offer_moved(Query &query, NodeId row, float distance);
    double moved(const Query &query, NodeId row, double distance) const;
    void keep(Query &query, double distance) const;
    base::Status walk_far();
    base::Status walk();
    base::Status search(const Query &query, std::uint32_t ef);
    void count_found(const Query &query, std::uint32_t ef);
    void begin_walking();
    std::size_t queries_of(std::uint32_t ef) const noexcept;
    void end_ef();
    bool is_settled(std::size_t neighbours) const noexcept;

    const NodeStore &nodes_;
    Params params_;
    bool moves_;  // distances
    Watermarks marks_;
    std::vector<Query> queries_;
    Search search_;
    std::vector<double> found_;  // distances of the last search's hits
    Phase phase_ = Phase::measuring_all;
    NodeId next_row_ = 0;         // that is to be measured
    std::size_t next_query_ = 0;  // that is to walk
    std::size_t ef_ = 0;          // of curve_efs, in use
    std::array<Sum, curve_neighbours.size()> sums_{};
    RecallCurve curve_;
};

}  // namespace dvec::graph
