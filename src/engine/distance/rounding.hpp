// How far apart the results of two implementations of a distance may be, when both round in float
// but sum in different orders or fuse different products: our kernels, and the operator of a type
// that is not ours.
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

// The least that another implementation returns where ours returns `value` (as the SQL operator
// does). Holds for vectors of finite elements whose squares are far from the limits of floats; for
// L2 and L1 also where they are not. `terms` is the largest number of terms that a sum may have;
// `product_of_lengths` is the product of the two vectors' lengths, used for Metric::inner_product.
// NaN gives no bound: the result is -infinity.
double least_of_other(Metric metric, double value, std::size_t terms, double product_of_lengths);

}  // namespace dvec::distance
