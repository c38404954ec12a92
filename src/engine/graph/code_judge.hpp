// What distances to codes (distance/code.hpp) say about the distances to the vectors themselves.
// For cosine, inner products of the vectors themselves are judged here, too, as codes without an
// error.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "engine/distance/code.hpp"
#include "engine/distance/kernel.hpp"

namespace dvec::graph {

// A judge is made for one metric, and for one query where cosine distances or bounds are wanted.
class CodeJudge {
  public:
    CodeJudge() = default;
    // A judge made without a query cannot give bounds.
    explicit CodeJudge(const distance::Kernel &kernel) : metric_(kernel.metric) {}
    CodeJudge(const distance::Kernel &kernel, const void *query, std::size_t dimensions)
        : CodeJudge(kernel) {
        // How far the rounding of two kernels may set a sum apart (float32.hpp), with room to
        // spare.
        rounding_ = static_cast<float>(dimensions / 8 + 12) * 0x1p-22f;
        if (metric_ == distance::Metric::inner_product)
            // Squares that underflow lose at most 2^-149 each.
            length_ = std::sqrt(-kernel.distance(query, query, dimensions)) * 1.001f +
                      static_cast<float>(dimensions) * 0x1p-72f;
        if (metric_ == distance::Metric::cosine)
            inverse_length_ =
                kernel.element == distance::Element::float16
                    ? distance::inverse_length(static_cast<const distance::Half *>(query),
                                               dimensions)
                    : distance::inverse_length(static_cast<const float *>(query), dimensions);
    }

    // The distance, computed from what the kernel has measured to the code.
    float distance(float measured, const distance::CodeHeader &code) const noexcept {
        return distance(measured, code, inverse_length_);
    }
    // The same for another query, given by its inverse length; the judge need not know that query.
    float distance(float measured, const distance::CodeHeader &code,
                   float inverse_length) const noexcept {
        if (metric_ != distance::Metric::cosine)
            return measured;
        return 1 + measured * (code.inverse_length * inverse_length);
    }

    // How far a code may be from its vector, in the units of the distance; infinite where the
    // distance is divided by a length that cannot be divided by.
    float error(const distance::CodeHeader &code) const noexcept {
        return error(code, inverse_length_);
    }
    float error(const distance::CodeHeader &code, float inverse_length) const noexcept {
        if (metric_ != distance::Metric::cosine)
            return code.error;
        return inverse_length > 0 && code.inverse_length > 0
                   ? code.error * code.inverse_length
                   : std::numeric_limits<float>::infinity();
    }

    // Whether a distance to a code tells which of several vectors is nearer. A Euclidean distance
    // must be several times the error of the code; for the other metrics the error is a small part
    // of both lengths anyway, or infinite. A distance that has left float's range tells nothing.
    bool reliable(float distance, float error) const noexcept {
        constexpr float times = 8;
        const float limit = euclidean() ? distance : std::numeric_limits<float>::max();
        return times * times * error * error <= limit && std::isfinite(distance);
    }

    // A lower bound of the distance to the vector: of the whole distance, as the operator rounds
    // it.
    float bound(float distance, float error) const noexcept {
        if (!std::isfinite(distance))
            return metric_ == distance::Metric::inner_product
                       ? -std::numeric_limits<float>::infinity()
                       : 0;
        if (euclidean()) {
            const float root = std::max(0.0f, std::sqrt(distance) - error);
            return root * root * (1 - rounding_);
        }
        if (metric_ == distance::Metric::cosine)
            // With k * u of float32.hpp: the dot products, with their roundings, differ by the
            // error times the query's length. Of a cosine, which is at most 1, the operator's root
            // of the product of squares makes k * u, and the two lengths here as much, and a few u:
            // half of 4 * k * u. The error is divided by such a length, too. Of 0 and NaN the
            // greater is 0.
            return std::max(0.0f, distance - error * (1 + rounding_) - rounding_);
        // Infinite lengths and errors tell nothing.
        const float least = distance - length_ * error;
        return std::isnan(least) ? -std::numeric_limits<float>::infinity() : least;
    }

  private:
    bool euclidean() const noexcept { return metric_ == distance::Metric::l2_squared; }

    distance::Metric metric_ = distance::Metric::l2_squared;
    float rounding_ = 0;
    float length_ = 0;          // of the query
    float inverse_length_ = 0;  // of the query; 0 where it is none to divide by
};

}  // namespace dvec::graph
