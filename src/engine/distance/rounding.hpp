// How far two implementations of a distance may be apart that round in float, but sum in another
// order or fuse other products: our kernels, and the operator of a type that is not ours.
//
// With u = 2^-24 a sum of n products is within (n + 2) u / (1 - (n + 2) u) of the sum of their
// absolute values, whatever the order (Higham, Accuracy and Stability of Numerical Algorithms,
// chapter 3), and a product that underflows is lost by at most one denormal. A difference squared
// is rounded twice more. The bounds below take twice that, once for each side, and are computed in
// double.
#pragma once

#include <cstddef>

#include "engine/distance/kernel.hpp"

namespace dvec::distance {

// What another implementation returns at least, where ours returns `value` (as the SQL operator
// does). For vectors of finite elements whose squares are far from the limits of floats; where they
// are not, for L2 and L1 alone. `terms` are those of a sum, at most; `product_of_lengths` is that
// of the two vectors' lengths, for Metric::inner_product. NaN bounds nothing: -infinity.
double least_of_other(Metric metric, double value, std::size_t terms, double product_of_lengths);

}  // namespace dvec::distance
