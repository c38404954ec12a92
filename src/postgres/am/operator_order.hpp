// Rows of a search in the order of an operator that is not ours. The search returns them in the
// order of our kernels; by the operator's distances, neighbours in that order may change places,
// but not by much, since both are roundings of the same sums. So a row is held back until the
// search has advanced so far that no nearer row can follow, given the greatest difference that
// rounding can make.
#pragma once

#include <optional>
#include <vector>

#include "engine/graph/search.hpp"
#include "engine/store/index.hpp"
#include "postgres/am/operator_distance.hpp"

namespace dvec::postgres {

class OperatorOrder {
  public:
    // The search's next row with the operator's distance, in the order of these distances. Rows
    // that turn out to be nearer than one already returned come at the very end, in order among
    // themselves, as rows that the walk has missed do. No row is held back for another round of the
    // walk, which would cost callers who need no more rows than one round finds. May raise an
    // error, after which the object must not be used.
    std::optional<graph::Hit> next(graph::Search &search, const graph::NodeStore &nodes,
                                   OperatorDistance &operator_distance);

  private:
    bool may_return_nearest(graph::Search &search, const OperatorDistance &operator_distance) const;
    graph::Hit take_nearest();
    std::optional<graph::Hit> next_late();

    std::vector<graph::Hit> waiting_;  // a heap, the nearest on top
    std::vector<graph::Hit> late_;     // once the search has ended the nearest is the last
    double least_ = 0;                 // of all that the search has not returned yet
    double returned_ = 0;              // distance of the last one returned
    bool any_returned_ = false;
    bool ended_ = false;  // the search
    bool late_is_sorted_ = false;
};

}  // namespace dvec::postgres
