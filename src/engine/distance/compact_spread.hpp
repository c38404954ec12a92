// How far a distance that compact vectors (compact.hpp) tell may be from that of the vectors.
//
// No certain bound would say much. What rounding adds is random: its direction has nothing to do
// with the query's, so among so many dimensions little of it shows. This is the spread (standard
// deviation) of what shows.
#pragma once

#include <cstddef>

#include "engine/distance/kernel.hpp"

namespace dvec::distance {

// From one query to any row.
class CompactSpread {
  public:
    CompactSpread() = default;
    // `query` is compact; `error` is the length of what rounding took from it (CompactHeader).
    CompactSpread(Metric metric, std::size_t dimensions, const void *query, double error);

    // The spread for a row whose compact vector is `stored`, at a distance as the operator returns
    // it: of the product for L2 and inner product, of the distance itself for cosine and L1.
    double to(double distance, const void *stored) const;
    // The most by which an L1 distance may be wrong, for certain. It often is, by much of that:
    // between near vectors the difference of two elements is about the error itself, and nothing
    // makes up for it.
    double most_of_sums(const void *stored) const;
    // The distance, as the operator returns it, if what the spread is of were greater by `by`.
    double moved(double distance, double by) const;

  private:
    Metric metric_ = Metric::l2_squared;
    double dimensions_ = 0;
    double width_ = 0;  // elements of a compact vector
    double length_ = 0;
    double error_ = 0;
};

}  // namespace dvec::distance
