// The cosine of vectors whose squares are outside of the range of floats.
#include <cmath>

#include "engine/distance/cosine_parts.hpp"

namespace dvec::distance {

// The square of a float other than 0 is from 2^-298 to below 2^256: a double can hold the sum of
// 16,000 such squares.
double distance_of_directions(const float *a, const float *b, std::size_t dimensions) {
    double dot = 0;
    double squared_norm_a = 0;
    double squared_norm_b = 0;
    for (std::size_t i = 0; i < dimensions; ++i) {
        const double x = a[i];
        const double y = b[i];
        dot += x * y;
        squared_norm_a += x * x;
        squared_norm_b += y * y;
    }
    return 1 - clamp_cosine(dot / (std::sqrt(squared_norm_a) * std::sqrt(squared_norm_b)));
}

}  // namespace dvec::distance
