#include "engine/distance/compact_spread.hpp"

#include <algorithm>
#include <cmath>

#include "engine/distance/compact.hpp"

namespace dvec::distance {

namespace {

// What the kernels' own rounding of steps and sums takes from L1 distances, in shares of the
// lengths.
constexpr double rounded_in_sums = 1.0 / 8192;

double square(double value) { return value * value; }

}  // namespace

CompactSpread::CompactSpread(Metric metric, std::size_t dimensions, const void *query, double error)
    : metric_(metric),
      dimensions_(static_cast<double>(dimensions)),
      width_(static_cast<double>(compact_width(dimensions))),
      length_(std::sqrt(compact_header(query).square)),
      error_(error) {}

// What was taken from either vector is perpendicular to it, so only the part of the other that is
// perpendicular to it, too, can show; of that one dimension's share.
double CompactSpread::to(double distance, const void *stored) const {
    const CompactHeader row = compact_header(stored);
    // Each element's error is added or taken away, and mostly one makes up for another.
    if (metric_ == Metric::l1)
        return std::hypot(double{row.error}, error_);
    const double length = std::sqrt(row.square);
    const double lengths = length * length_;
    if (!(lengths > 0))
        return 0;
    double cosine = 0;
    switch (metric_) {
        case Metric::cosine:
            cosine = 1 - distance;
            break;
        case Metric::inner_product:
            cosine = -distance / lengths;
            break;
        default:
            cosine = (row.square + square(length_) - square(distance)) / (2 * lengths);
    }
    const double sine = std::sqrt(std::max(0.0, 1 - square(std::min(cosine, 1.0))));
    const double error = std::hypot(length_ * double{row.error}, length * error_);
    // Where the two point in one direction, what was taken from both is left.
    const double spread = std::hypot(error * sine, double{row.error} * error_) / std::sqrt(width_);
    return metric_ == Metric::cosine ? spread / lengths : spread;
}

// A sum of so many numbers is greatest for their length where all are equal.
double CompactSpread::most_of_sums(const void *stored) const {
    const CompactHeader row = compact_header(stored);
    const double rounded = rounded_in_sums * (std::sqrt(row.square) + length_);
    return std::sqrt(dimensions_) * (double{row.error} + error_ + rounded);
}

double CompactSpread::moved(double distance, double by) const {
    return metric_ == Metric::l2_squared ? std::sqrt(std::max(0.0, square(distance) + 2 * by))
                                         : distance + by;
}

}  // namespace dvec::distance
