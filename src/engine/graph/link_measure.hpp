// How the linker measures two nodes.
#pragma once

#include <atomic>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "engine/distance/code.hpp"
#include "engine/graph/code_judge.hpp"
#include "engine/graph/node_store.hpp"

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

// Of inner products: the nodes' distances from themselves, minus the squares of their lengths, each
// measured when it is first asked for. Two threads that ask first find the same.
class SelfDistances {
  public:
    void resize(std::size_t nodes) {
        known_.resize(nodes, std::numeric_limits<float>::quiet_NaN());
    }
    float operator()(const LinkMeasure &measure, const NodeStore &nodes, NodeId id) {
        const std::atomic_ref known(known_[id]);
        float distance = known.load(std::memory_order_relaxed);
        if (std::isnan(distance)) {
            distance = measure.function(nodes.vector(id), nodes.vector(id), measure.dimensions);
            known.store(distance, std::memory_order_relaxed);
        }
        return distance;
    }

  private:
    std::vector<float> known_;  // not a number: not measured yet
};

}  // namespace dvec::graph
