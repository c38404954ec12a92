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

// Rounding may carry a cosine past 1; a NaN stays one.
static inline double clamp_cosine(double cosine) {
    return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}

// From 0 to 2, or NaN where a sum left the range of floats or vanished and the others do not
// decide.
static inline double cosine_distance(CosineParts parts) {
    // One root of the product, which in double neither overflows nor underflows.
    const double norms = __builtin_sqrt(static_cast<double>(parts.squared_norm_a) *
                                        static_cast<double>(parts.squared_norm_b));
    return 1 - clamp_cosine(parts.dot / norms);
}

// Whether squares of a vector are so far from the limits of floats that nothing that counts
// overflowed or vanished in a sum of them, or of products with another such vector.
static inline bool far_from_limits(float squared_norm) {
    return squared_norm >= 0x1p-80F && squared_norm <= 0x1p80F;
}

// The cosine distance of any two vectors by their directions alone, summed in double; NaN when one
// is zero. Slow: for vectors that are not far from the limits.
double distance_of_directions(const float *a, const float *b, size_t dimensions);

}  // namespace dvec::distance
