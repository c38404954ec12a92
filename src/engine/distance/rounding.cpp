#include "engine/distance/rounding.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dvec::distance {

namespace {

constexpr double unit = 0x1p-24;
constexpr double denormal = 0x1p-149;
constexpr double largest = std::numeric_limits<float>::max();
// The relative error of what is computed in double, for both sides together.
constexpr double in_double = 0x1p-48;

// The error of a sum relative to the sum of its terms' absolute values, for both sides together.
double apart(std::size_t terms) {
    const double roundings = static_cast<double>(terms) + 4;
    return 2 * roundings * unit / (1 - roundings * unit);
}

// A lower bound for a sum of terms without signs. Where our side finds it infinite, the other side
// may have found it finite.
double least_sum(double sum, std::size_t terms) {
    return std::min(sum, largest) * (1 - apart(terms)) - 2 * static_cast<double>(terms) * denormal;
}

double bound(Metric metric, double value, std::size_t terms, double product_of_lengths) {
    switch (metric) {
        case Metric::l2_squared:
            // In this order of its arguments max keeps NaN.
            return std::sqrt(std::max(least_sum(value * value * (1 - in_double), terms), 0.0)) *
                   (1 - in_double);
        case Metric::l1:
            return least_sum(value, terms);
        // Made of three sums, two of them under a root.
        case Metric::cosine:
            return value - 2 * apart(terms) - in_double;
        case Metric::inner_product:
            return value - apart(terms) * product_of_lengths -
                   2 * static_cast<double>(terms) * denormal;
        // Counts are exact.
        case Metric::hamming:
        case Metric::jaccard:
            break;
    }
    return value - in_double;
}

}  // namespace

double least_of_other(Metric metric, double value, std::size_t terms, double product_of_lengths) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (std::isnan(value))
        return -infinity;
    // It can be NaN also where a length is beyond the range of floats, or unknown.
    const double least = bound(metric, value, terms, product_of_lengths);
    return std::isnan(least) ? -infinity : least;
}

}  // namespace dvec::distance
