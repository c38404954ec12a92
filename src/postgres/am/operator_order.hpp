// Rows of a search in the order of distances that its kernels do not know: those of an operator
// that is not ours, or of vectors that the index holds rounded. The search returns rows in the
// order of our kernels; by the other distances, neighbours in that order may change places, but not
// by much. So a row is held back until the search has advanced so far that no nearer row can
// follow, given the greatest difference that there can be.
#pragma once

#include <limits>
#include <optional>
#include <vector>

#include "engine/graph/search.hpp"
#include "engine/store/index.hpp"
#include "postgres/am/row_distance.hpp"

namespace dvec::postgres {

class OperatorOrder {
  public:
    // The search's next row with its row_distance, in the order of these distances. Rows
    // that turn out to be nearer than one already returned come at the very end, in order among
    // themselves, as rows that the walk has missed do. No row is held back for another round of the
    // walk, which would cost callers who need no more rows than one round finds; but where the
    // search guesses, only the nearer half of what was measured so far, since a later round finds
    // many that are nearer than the farther half, and none where the guesses are no better than
    // chance (RowDistance::is_out_of_order). May raise an error, after which the object must
    // not be used.
    std::optional<graph::Hit> next(graph::Search &search, const graph::NodeStore &nodes,
                                   RowDistance &row_distance);

    // As Search::limit_distances, until it is called again; a row that is read in the table counts
    // as so many distances. More rows are not read than come to those that are left: next() ends
    // there, and is_spent() is true.
    void limit_distances(graph::Search &search, uint64 most, double per_row_read);
    bool is_spent() const { return is_spent_; }

    // Whether next() can answer without another round of the walk, and without rows that wait for
    // one.
    bool is_at_hand(graph::Search &search, const RowDistance &row_distance) const;

  private:
    bool may_return_nearest(graph::Search &search, const RowDistance &row_distance) const;
    bool waits_for_round(const RowDistance &row_distance) const;
    bool measure(graph::Search &search, graph::Hit *hit, const void *row,
                 RowDistance &row_distance);
    graph::Hit take_nearest();
    std::optional<graph::Hit> next_late();

    std::vector<graph::Hit> waiting_;  // a heap, the nearest on top
    std::vector<graph::Hit> late_;     // once the search has ended the nearest is the last
    double least_ = 0;                 // of all that the search has not returned yet
    double returned_ = 0;              // distance of the last one returned
    uint64 count_returned_ = 0;
    double most_distances_ = std::numeric_limits<double>::infinity();
    double per_row_read_ = 0;
    bool is_spent_ = false;
    double rows_left_to_read_ = std::numeric_limits<double>::infinity();
    bool ended_ = false;  // the search
    bool late_is_sorted_ = false;
};

}  // namespace dvec::postgres
