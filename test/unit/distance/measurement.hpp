// Every function of the kernels applied to one pair of vectors, and the same from exact arithmetic.
#pragma once

#include <cmath>
#include <cstddef>
#include <numeric>
#include <random>
#include <vector>

#include "engine/distance/float32.hpp"

namespace dvec::distance {

// Every remainder of every loop, and lengths that real embeddings have.
inline std::vector<std::size_t> tested_lengths() {
    std::vector<std::size_t> lengths(68);
    std::iota(lengths.begin(), lengths.end(), std::size_t{0});
    for (std::size_t length : {127, 128, 129, 255, 384, 768, 1000, 1536, 2048, 16000}) {
        lengths.push_back(length);
    }
    return lengths;
}

template <typename Distribution>
std::vector<float> random_floats(std::size_t count, Distribution distribution, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<float> floats(count);
    for (float &value : floats) {
        value = static_cast<float>(distribution(random));
    }
    return floats;
}

inline constexpr std::size_t float_sums = 6;
inline constexpr const char *float_sum_names[float_sums] = {
    "l2_squared", "inner_product", "l1", "dot", "squared_norm_a", "squared_norm_b",
};

struct Measurement {
    float sums[float_sums];
    double squared_norm;
};

inline Measurement measure(const float *a, const float *b, std::size_t dimensions) {
    const CosineParts parts = cosine_parts(a, b, dimensions);
    return {{l2_squared(a, b, dimensions), inner_product(a, b, dimensions), l1(a, b, dimensions),
             parts.dot, parts.squared_norm_a, parts.squared_norm_b},
            squared_norm(a, dimensions)};
}

// Sums in double. The product of two floats is exact in double, and a double's rounding is too fine
// to matter beside a float's, so these stand for the exact sums.
struct ExactMeasurement {
    double sums[float_sums] = {};
    double magnitudes[float_sums] = {};  // the sums of the absolute terms
};

inline ExactMeasurement measure_exactly(const float *a, const float *b, std::size_t dimensions) {
    ExactMeasurement exact;
    for (std::size_t i = 0; i < dimensions; ++i) {
        const double x = a[i];
        const double y = b[i];
        const double terms[float_sums] = {
            (x - y) * (x - y), x * y, std::abs(x - y), x * y, x * x, y * y};
        for (std::size_t sum = 0; sum < float_sums; ++sum) {
            exact.sums[sum] += terms[sum];
            exact.magnitudes[sum] += std::abs(terms[sum]);
        }
    }
    return exact;
}

// The error that float32.hpp allows a sum of `dimensions` terms.
inline double allowed_error(double magnitude, std::size_t dimensions) {
    const double n = static_cast<double>(dimensions);
    const double roundings = (std::floor(n / 8) + 12) * std::ldexp(1.0, -24);
    return roundings / (1 - roundings) * magnitude + n * std::ldexp(1.0, -149);
}

}  // namespace dvec::distance
