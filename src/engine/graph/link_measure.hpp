// How the linker measures two nodes.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>

#include "engine/distance/code.hpp"
#include "engine/graph/code_judge.hpp"

namespace dvec::graph {

// A node's vector against what stands for another: its code where there are codes, its vector where
// not. Both lie in slots.
struct LinkMeasure {
    distance::DistanceFunction function;       // of two vectors
    distance::DistanceFunction code_function;  // of a vector and a code; null: there are no codes
    CodeJudge judge;
    std::size_t dimensions;
    std::size_t vector_behind_code;  // bytes

    float operator()(const void *vector, const void *other) const {
        float value;
        if (code_function == nullptr) {
            value = function(vector, other, dimensions);
        } else {
            const auto *code = static_cast<const std::byte *>(other);
            const auto header = distance::code_header(code);
            const float inverse_length =
                distance::code_header(static_cast<const std::byte *>(vector) - vector_behind_code)
                    .inverse_length;
            value = judge.distance(code_function(vector, code, dimensions), header, inverse_length);
            if (!judge.reliable(value, judge.error(header, inverse_length))) [[unlikely]]
                value = function(vector, code + vector_behind_code, dimensions);
        }
        // Not a number is unordered, which no queue survives: such pairs are infinitely far apart.
        return std::isnan(value) ? std::numeric_limits<float>::infinity() : value;
    }
};

}  // namespace dvec::graph
