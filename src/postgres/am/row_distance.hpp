// How far rows of an index are from the query by the SQL operator that a scan orders by, where that
// is not what the search's kernels say.
#pragma once

#include "engine/graph/search.hpp"
#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

// Everything here may raise an ERROR, so callers hold only trivially destructible objects
// (guard.hpp), and these are such objects.
class RowDistance {
  public:
    // Whether the row of this hit, for which the index stores `stored`, is to be returned; then the
    // operator's distance. `stored` must not be null.
    virtual bool measure(const graph::Hit &hit, const void *stored, double *distance) = 0;

    // A lower bound of the operator's distance to any row that our kernels place at `distance` or
    // farther. `stored` is one of these rows, which tells how far the two may be apart.
    virtual double least(double distance, const void *stored) = 0;
    // The same, by what the rows passed before have told.
    virtual double least(double distance) const = 0;

    // How many rows were measured exactly, where what the search measured is a guess; 0 otherwise.
    virtual uint64 exactly_measured() const { return 0; }

  protected:
    ~RowDistance() = default;
};

}  // namespace dvec::postgres
