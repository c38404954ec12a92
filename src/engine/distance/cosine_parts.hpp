// The three sums a cosine is made of, and the distance that is made from them: once for the
// operators and for the index, which therefore agree to the last bit.
//
// No library header may be included here; kernel_table.hpp says why.
#pragma once

#include <stddef.h>

namespace dvec::distance {

struct CosineParts {
    float dot;             // sum of a[i] * b[i]
    float squared_norm_a;  // sum of a[i]^2
    float squared_norm_b;  // sum of b[i]^2
};

// Rounding may carry a cosine past 1 or -1; NaN stays NaN.
static inline double clamp_cosine(double cosine) {
    return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}

// From 0 to 2; NaN where a sum has left the range of floats or has vanished, and the other sums do
// not decide the result.
static inline double cosine_distance(CosineParts parts) {
    // The root is taken of the product, which in double neither overflows nor underflows.
    const double norms = __builtin_sqrt(static_cast<double>(parts.squared_norm_a) *
                                        static_cast<double>(parts.squared_norm_b));
    return 1 - clamp_cosine(parts.dot / norms);
}

// Whether squares of a vector are so far from the limits of floats that nothing that counts
// overflowed or vanished in a sum of them, or of products with another such vector.
static inline bool far_from_limits(float squared_norm) {
    return squared_norm >= 0x1p-80F && squared_norm <= 0x1p80F;
}

// The cosine distance of any two vectors, summed in double; NaN when one of them is zero. Slow, so
// it is only for vectors that are not far_from_limits().
double distance_of_directions(const float *a, const float *b, size_t dimensions);

}  // namespace dvec::distance
