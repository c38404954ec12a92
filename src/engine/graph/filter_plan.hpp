// How a search finds the rows that a filter admits: by the walk over the graph, or by a pass over
// the keys of all rows that measures only those admitted. The one that is expected to cost less is
// taken, and the walk is left when it turns out to cost more. A pass by sketches (sketches.hpp)
// measures only a few of those admitted; sketches are made when they would have saved as much time
// as making them takes.
//
// The walk is the ordinary one. It measures every node it meets, but a node without an admitted row
// takes no place among the results. Walks that measure admitted nodes only and reach them through
// two links (Patel et al. 2024, ACORN-1; NaviX, Sehgal & Salihoglu 2025, adaptive-local) were tried
// on the same graphs and are slower here at every share of rows: reading a list of links costs as
// much as measuring four vectors, and the links of a list are chosen to lead in different
// directions, so that some twenty lists lie between one admitted node and the next (200,000 x 128,
// a tenth passes, recall@10 0.95: 126 us by this walk, 279 by theirs; a twentieth passes: 220, and
// more than 700). Where so few pass that this walk is slow, the pass is faster than either, and
// exact.
// Walks from the nearest of a sample of admitted nodes, over admitted nodes only, were tried for
// filters that hold far from the query, and stop far from the answer (a fifth passes, recall@10
// 0.48, and 0.60 where they are eight times as wide).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "engine/graph/admitted_sets.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/graph/row_filter.hpp"
#include "engine/graph/sketches.hpp"

namespace dvec::graph {

class FilterPlan {
  public:
    // What the costs of both ways depend on.
    struct Given {
        double rows;
        double share;  // of them that passes
        double tests;  // of keys, for a row (RowFilter::tests_of_row)
        std::uint32_t m;
        double measured_bytes;  // of a vector, or of its code
    };

    FilterPlan() = default;
    explicit FilterPlan(const Given &given)
        : share_(std::max(given.share, 1e-9)),
          rows_(given.rows),
          walk_cost_(cost_here + given.measured_bytes * cost_of_byte_here),
          keys_cost_(rows_ * given.tests * cost_of_test),
          row_cost_(cost_in_order + given.measured_bytes * cost_of_byte_in_order),
          pass_cost_(keys_cost_ + admitted() * row_cost_),
          exact_cost_(pass_cost_),
          links_(given.m) {}
    // For a search of the ids below `linked`. Takes a sample of their keys where the rows that pass
    // are not known. `set`: those that are, or null. `sketches`: those that a pass may use and
    // add to, or null.
    FilterPlan(const RowFilter &filter, const NodeStore &nodes, NodeId linked, AdmittedSet *set,
               Sketches *sketches)
        : FilterPlan(
              {static_cast<double>(linked), share_of(filter, nodes, linked, set),
               rows_known(set, linked) ? tests_of_bit : static_cast<double>(filter.tests_of_row()),
               nodes.layout().m, static_cast<double>(nodes.layout().measured_bytes())}) {
        if (set != nullptr && !rows_known(set, linked)) {
            unknown_ = set;
            test_cost_ = cost_of_test_here + static_cast<double>(filter.tests_of_row());
        }
        if (sketches != nullptr)
            reckon_with(*sketches, filter, nodes, linked, set);
    }
    // What finding out which rows pass takes.
    static double cost_of_knowing(const RowFilter &filter, NodeId linked) noexcept {
        return linked * static_cast<double>(filter.tests_of_row()) * cost_of_test;
    }

    // How many results a round of the walk of this width is to find, after so many refused nodes.
    // When none was refused, it finds as many results as it is wide. When many were refused, the
    // walk has seen far more nodes than there are results, and recall depends on how many it has
    // seen. So a round ends when the number of nodes it has seen is
    //     seen = width + width / 4 * seen / results
    // that is, the width, and for a quarter of the width as many nodes each as were seen per
    // result.
    static std::size_t results_wanted(std::size_t width, std::size_t refused) noexcept {
        const double w = static_cast<double>(width);
        const double d = static_cast<double>(refused);
        const double b = 1.25 * w - d;
        const double wanted = std::ceil((b + std::sqrt(b * b + w * d)) / 2);
        return std::clamp(static_cast<std::size_t>(wanted), (width + 3) / 4, width);
    }

    // Whether to begin with the pass over the keys. A walk that costs little beside the pass is
    // tried in any case, since the rows that pass may be those near the query.
    bool begins_with_pass(std::size_t width) const noexcept {
        const double seen = static_cast<double>(width) * (1 + 0.25 / share_);
        const double least = distances_of_walk(static_cast<double>(width)) * walk_cost_;
        return distances_of_walk(seen) * walk_cost_ > pass_cost_ &&
               least > pass_cost_ * worth_a_try;
    }
    // To be called when the first rows have been found, after so many distances of the walk and
    // nodes that it has looked at.
    void note_walk(std::uint64_t distances, std::uint64_t nodes) const noexcept {
        if (unknown_ != nullptr)
            unknown_->would_have_saved(static_cast<double>(nodes) * test_cost_);
        if (sketches_ != nullptr)
            sketches_->would_have_saved(static_cast<double>(distances) * walk_cost_ -
                                        sketched_cost_);
    }
    // To be called when a pass begins.
    void note_pass() const noexcept {
        if (unknown_ != nullptr)
            unknown_->would_have_saved(keys_cost_);
        if (sketches_ == nullptr)
            return;
        if (makes_sketches_)
            sketches_->pay(making_cost_);
        else
            sketches_->would_have_saved(pass_cost_ - sketched_cost_);
    }

    // Whether the pass is one by sketches, and how many it should make.
    bool passes_by_sketches() const noexcept {
        return sketches_ != nullptr && pass_cost_ < exact_cost_;
    }
    std::size_t sketches_to_make() const noexcept {
        return makes_sketches_ ? static_cast<std::size_t>(most_made) : 0;
    }

    // What a search of this width is expected to cost: a walk, where it sees no more nodes than
    // there are, or the pass.
    double expected_cost(std::size_t width) const noexcept {
        const double seen = std::min(static_cast<double>(width) * (1 + 0.25 / share_), rows_);
        const double walk = std::min(distances_of_walk(seen), rows_) * walk_cost_;
        return begins_with_pass(width) ? pass_cost_ : std::min(walk, 2 * pass_cost_);
    }

    // What a walk under way has done so far.
    struct Walked {
        std::uint64_t distances;  // measured so far
        std::uint64_t admitted;   // nodes that were looked at and have an admitted row, or
        std::uint64_t refused;    // none
        std::size_t wanted;       // results that the round is still to find
        std::size_t width;
    };
    // Whether to leave the walk for the pass, which finds everything: when the pass is expected to
    // cost less than the rest of the round, or less than half of what the walk has cost so far.
    bool prefers_pass(const Walked &walked) const noexcept {
        const double spent = static_cast<double>(walked.distances) * walk_cost_;
        if (spent < pass_cost_ * worth_a_try)
            return false;
        // The estimate counts as much as some nodes looked at.
        const double weight = static_cast<double>(walked.width);
        const double share = (static_cast<double>(walked.admitted) + share_ * weight) /
                             (static_cast<double>(walked.admitted + walked.refused) + weight);
        const double rest =
            static_cast<double>(walked.wanted) / share * distances_of_node() * walk_cost_;
        return rest > pass_cost_ || spent > 2 * pass_cost_;
    }

    double cost_of_pass() const noexcept { return pass_cost_; }

    // Which share of the rows passes, by a sample of the keys; and how many that are.
    double share() const noexcept { return share_; }
    double admitted() const noexcept { return rows_ * share_; }

  private:
    // Nanoseconds, measured with AVX2 on a machine that does other things, on codes of 128 and 768
    // dimensions; only their proportions count. `here` is for a node of the walk, including its
    // part of a list of links. `in_order` is for a row in the pass, where the rows that come next
    // are fetched at the same time.
    static constexpr double cost_here = 80;
    static constexpr double cost_of_byte_here = 0.2;
    static constexpr double cost_in_order = 45;
    static constexpr double cost_of_byte_in_order = 0.1;
    static constexpr double cost_of_test = 0.25;     // of a key against one range
    static constexpr double tests_of_bit = 0.1;      // of a row that is known to pass, or not to
    static constexpr double cost_of_test_here = 30;  // of a key that is not in the cache
    static constexpr double least_cost_of_sketch = 4;
    static constexpr double cost_of_byte_of_sketch = 0.06;  // of what would be measured otherwise
    static constexpr double cost_of_byte_made = 2;
    static constexpr double measured_by_sketches = 250;  // rows, and what a query has to prepare
    // Sketches are made of no more rows in a search, so that none takes much longer than others.
    static constexpr double most_made = 8192;
    static constexpr double least_share = 1.0 / 2048;
    static constexpr double worth_a_try = 0.125;

    // A node that is looked at leads to about M / 2 new ones; the way from the entry point to the
    // query takes about fifty nodes.
    double distances_of_node() const noexcept { return static_cast<double>(links_) / 2; }
    double distances_of_walk(double seen) const noexcept {
        return (seen + 50) * distances_of_node();
    }

    static bool rows_known(const AdmittedSet *set, NodeId linked) noexcept {
        return set != nullptr && linked > 0 && set->end() >= linked;
    }
    static double share_of(const RowFilter &filter, const NodeStore &nodes, NodeId linked,
                           const AdmittedSet *set) noexcept {
        if (rows_known(set, linked))
            return static_cast<double>(set->count()) / static_cast<double>(set->end());
        // A sample without a row that passes means that hardly any row passes, not that none does.
        return std::max(filter.estimate(nodes, linked), least_share);
    }

    void reckon_with(Sketches &sketches, const RowFilter &filter, const NodeStore &nodes,
                     NodeId linked, const AdmittedSet *set) {
        sketches_ = &sketches;
        std::uint64_t passed = 0, known = 0;
        const auto look = [&](NodeId id) {
            ++passed;
            known += sketches.has(id) ? 1 : 0;
        };
        if (rows_known(set, linked))
            set->sample(look);
        else
            filter.sample(nodes, linked, look);
        const double unknown =
            passed == 0 ? 1 : 1 - static_cast<double>(known) / static_cast<double>(passed);
        const double bytes = nodes.layout().measured_bytes();
        sketched_cost_ = keys_cost_ +
                         admitted() * (least_cost_of_sketch + bytes * cost_of_byte_of_sketch) +
                         measured_by_sketches * walk_cost_;
        making_cost_ =
            std::min(admitted() * unknown, most_made) * (cost_in_order + bytes * cost_of_byte_made);
        pass_cost_ = std::min(exact_cost_, sketched_cost_ + admitted() * unknown * row_cost_);
        // What making them costs was saved before.
        makes_sketches_ =
            unknown > 0 && sketched_cost_ < pass_cost_ && sketches.worth_making(making_cost_);
        if (makes_sketches_)
            pass_cost_ = sketched_cost_;
    }

    double share_ = 1;
    double rows_ = 0;
    double walk_cost_ = 0;
    double keys_cost_ = 0;      // of testing all keys
    double row_cost_ = 0;       // of measuring a row in the pass
    double pass_cost_ = 0;      // of the better pass
    double exact_cost_ = 0;     // of the pass that measures every row admitted
    double sketched_cost_ = 0;  // of a pass where every row has a sketch
    double making_cost_ = 0;    // of the sketches that are missing
    std::uint32_t links_ = 0;
    // That does not know the rows yet; null where it does.
    AdmittedSet *unknown_ = nullptr;
    double test_cost_ = 0;  // of the keys of one row, here and there
    Sketches *sketches_ = nullptr;
    bool makes_sketches_ = false;
};

}  // namespace dvec::graph
