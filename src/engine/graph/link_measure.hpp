// How the linker measures two nodes.
#pragma once

#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <vector>

#include "engine/distance/code.hpp"
#include "engine/graph/code_judge.hpp"
#include "engine/graph/format.hpp"
#include "engine/graph/node_store.hpp"

namespace dvec::graph {

// Measures a node's vector against the code of another node where there are codes, and against its
// vector otherwise. Both lie in slots.
struct LinkMeasure {
    distance::DistanceFunction function;       // of two vectors
    distance::DistanceFunction code_function;  // of a vector and a code; null: there are no codes
    distance::DistanceFunction product;        // of two vectors with lengths; null: they have none
    CodeJudge judge;
    std::size_t dimensions;
    std::size_t vector_behind_code;    // bytes
    std::size_t length_behind_vector;  // bytes

    static LinkMeasure of(const distance::Kernel &kernel, std::size_t dimensions,
                          const Layout &layout) {
        return {kernel.link_distance(),
                layout.coded() ? kernel.code_distance : nullptr,
                layout.lengths != Lengths::none ? kernel.product : nullptr,
                CodeJudge(kernel),
                dimensions,
                layout.vector_offset - layout.code_offset,
                layout.length_behind()};
    }

    float operator()(const void *vector, const void *other) const {
        float value;
        if (code_function != nullptr)
            value = by_code(vector, other);
        else if (product != nullptr)
            value = by_product(vector, other);
        else
            value = function(vector, other, dimensions);
        // NaN has no order, and sorting relies on one: pairs with NaN count as infinitely far
        // apart.
        return std::isnan(value) ? std::numeric_limits<float>::infinity() : value;
    }

  private:
    float by_code(const void *vector, const void *other) const {
        const auto *code = static_cast<const std::byte *>(other);
        const auto header = distance::code_header(code);
        const float inverse_length =
            distance::code_header(static_cast<const std::byte *>(vector) - vector_behind_code)
                .inverse_length;
        return judged(code_function(vector, code, dimensions), header, inverse_length, vector,
                      code + vector_behind_code);
    }

    float by_product(const void *vector, const void *other) const {
        return judged(product(vector, other, dimensions), {0, 0, 0, length_of(other)},
                      length_of(vector), vector, other);
    }

    // The distance from what was measured, if that tells enough; otherwise from the two vectors.
    float judged(float measured, const distance::CodeHeader &header, float inverse_length,
                 const void *vector, const void *other_vector) const {
        const float value = judge.distance(measured, header, inverse_length);
        if (judge.reliable(value, judge.error(header, inverse_length))) [[likely]]
            return value;
        return function(vector, other_vector, dimensions);
    }

    float length_of(const void *vector) const {
        float length;
        std::memcpy(&length, static_cast<const std::byte *>(vector) + length_behind_vector,
                    sizeof(length));
        return length;
    }
};

// For inner products: the distances of nodes from themselves, which are minus the squares of their
// lengths. Each is measured when it is first asked for. Two threads that measure it at the same
// time store the same value.
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
