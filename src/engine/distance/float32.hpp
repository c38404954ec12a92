// Distances of float32 vectors for callers that know the type of their vectors, such as the SQL
// operators.
//
// Each call runs the active instruction set's kernel (isa.hpp). Arguments follow DistanceFunction
// in kernel.hpp: any length, any 4-byte aligned address, no byte read outside the vectors; pure and
// thread-safe.
//
// Rounding. The float results are summed in float, in many partial sums, because that is what makes
// them fast and what users of float4 vectors expect; squared_norm alone is summed in double. With
// u = 2^-24 and t[i] the exact terms, a float result is within
//
//     k * u / (1 - k * u) * sum |t[i]|  +  n * 2^-149,    k = floor(n / 8) + 12
//
// of the exact sum: no kernel rounds any term more than k times on its way into the result, and a
// term that underflows is lost by at most one denormal. For L2 and L1 the sum of |t[i]| is the
// result itself, so the error is relative. The order of summation, and whether products are fused,
// depends on the instruction set and on nothing else: not on addresses, not on threads. Hence under
// one instruction set equal inputs give equal bits, and between two of them results differ by at
// most twice the bound. When every partial sum is a whole number below 2^24 the result is exact.
//
// NaN in gives NaN out. A sum of terms of one sign becomes infinite when it leaves float's range,
// in any order; an inner product whose partial sums leave it with both signs may be infinite or
// NaN.
//
// In every kernel distance(a, b) and distance(b, a) have the same bits, and L2 and L1 of a finite
// vector with itself are 0. Each member of cosine_parts(a, b) has the bits that inner_product() of
// the same two vectors has.
#pragma once

#include <cstddef>

#include "engine/distance/cosine_parts.hpp"

namespace dvec::distance {

// The sum of (a[i] - b[i])^2.
float l2_squared(const float *a, const float *b, std::size_t dimensions);

// The sum of a[i] * b[i]; the kernel row of Metric::inner_product has the opposite sign.
float inner_product(const float *a, const float *b, std::size_t dimensions);

// The sum of |a[i] - b[i]|.
float l1(const float *a, const float *b, std::size_t dimensions);

// What a cosine is made of, in one pass over the vectors.
CosineParts cosine_parts(const float *a, const float *b, std::size_t dimensions);

// The sum of a[i]^2 in double, where no float can overflow or underflow it: for norms, and for
// normalising a vector whatever its scale.
double squared_norm(const float *a, std::size_t dimensions);

}  // namespace dvec::distance
