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
    // Once so many are, the nearest of them may be returned, though no bound says that none is
    // nearer. For distances whose bounds say too little.
    virtual uint64 enough_measured() const { return PG_UINT64_MAX; }
    // Whether the rows measured so far tell that the search's order has nothing to do with theirs,
    // so that the nearest may be any that it has not come to yet.
    virtual bool is_out_of_order() const { return false; }
    // Whether too many rows that the search has not come to yet are probably nearer than this, for
    // so many rows to be returned.
    virtual bool probably_misses(double /*distance*/, uint64 /*rows*/) const { return false; }

  protected:
    ~RowDistance() = default;
};

}  // namespace dvec::postgres
