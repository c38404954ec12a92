// What distances to codes (distance/code.hpp) say of those to the vectors themselves.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "engine/distance/code.hpp"
#include "engine/distance/kernel.hpp"

namespace dvec::graph {

// For one metric, and one query if bounds are wanted.
class CodeJudge {
  public:
    CodeJudge() = default;
    // For bound() too, a judge must know the query.
    explicit CodeJudge(const distance::Kernel &kernel)
        : euclidean_(kernel.metric == distance::Metric::l2_squared) {}
    CodeJudge(const distance::Kernel &kernel, const void *query, std::size_t dimensions)
        : CodeJudge(kernel) {
        // How much the rounding of two kernels may make of a sum (float32.hpp), with room to spare.
        rounding_ = 1 - static_cast<float>(dimensions / 8 + 12) * 0x1p-22f;
        if (!euclidean_)
            // Squares that underflow lose at most 2^-149 each.
            length_ = std::sqrt(-kernel.distance(query, query, dimensions)) * 1.001f +
                      static_cast<float>(dimensions) * 0x1p-72f;
    }

    // Whether a distance to a code says which of several vectors is nearer. A Euclidean one must be
    // several times what the code is away from its vector; an error of the other is a small part of
    // both lengths, or infinite. One that left float's range says nothing.
    bool reliable(float distance, float error) const noexcept {
        constexpr float times = 8;
        const float limit = euclidean_ ? distance : std::numeric_limits<float>::max();
        return times * times * error * error <= limit && std::isfinite(distance);
    }

    // What the distance to the vector is at least.
    float bound(float distance, float error) const noexcept {
        if (!std::isfinite(distance))
            return euclidean_ ? 0 : -std::numeric_limits<float>::infinity();
        if (!euclidean_) {
            // Infinite lengths and errors tell nothing.
            const float least = distance - length_ * error;
            return std::isnan(least) ? -std::numeric_limits<float>::infinity() : least;
        }
        const float root = std::max(0.0f, std::sqrt(distance) - error);
        return root * root * rounding_;
    }

  private:
    bool euclidean_ = true;
    float rounding_ = 1;
    float length_ = 0;  // of the query
};

}  // namespace dvec::graph
