// Rows of a search in the order of an operator that is not ours. The search returns them in the
// order of our kernels; by the operator's distances neighbours in that order may change places, but
// none goes far: both round the same sums. So a row waits until the search is so far that nothing
// nearer can come, by more than the two may be apart.
#pragma once

#include <optional>
#include <vector>

#include "engine/graph/search.hpp"
#include "engine/store/index.hpp"
#include "postgres/am/operator_distance.hpp"

namespace dvec::postgres {

class OperatorOrder {
  public:
    // The search's next row, with the operator's distance, in order of that. What turns out to be
    // nearer than a row that was returned comes at the very end, in order among itself, as what the
    // walk has missed does. No row waits for another round of the walk: whoever wants no more rows
    // than one gives would pay for it. May raise; then it is of no use any more.
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
