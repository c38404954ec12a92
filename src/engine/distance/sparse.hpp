// Vectors of which only the elements other than zero are kept, and their distances.
//
// The bytes of such a vector, both in a slot of an index and behind the header of an SQL value:
//
//     [count: uint32][squared norm: float][indices: int32 x count][values: float x count]
//
// Indices ascend and begin at 0. In an index the bytes up to the size of a vector with
// `indexed_capacity` elements are zero, for slots have one size. The squared norm is there only in
// vectors that are measured by cosine; otherwise its bytes are zero.
//
// Distances are summed in float in the order of the indices, two vectors merged, one rounding for
// each term and each addition. They are the same under every instruction set.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "engine/distance/cosine_parts.hpp"

namespace dvec::distance {

struct SparseHead {
    std::uint32_t count;
    float squared_norm;
};
static_assert(sizeof(SparseHead) == 8);

// How many elements other than zero a vector may have in an index. Every slot has room for so many
// (or for all dimensions, if these are fewer), so a larger limit makes all slots larger.
inline constexpr std::size_t most_indexed_elements = 1000;

// For vectors of so many dimensions, zeros included.
constexpr std::size_t indexed_capacity(std::size_t dimensions) {
    return std::min(dimensions, most_indexed_elements);
}

constexpr std::size_t sparse_bytes(std::size_t count) {
    return sizeof(SparseHead) + (sizeof(std::int32_t) + sizeof(float)) * count;
}

// A view of the parts of such bytes; it does not own them.
struct SparseView {
    const std::int32_t *indices;
    const float *values;
    std::size_t count;

    // The bytes must be aligned to 4. A count above `most` is taken for `most`: whatever a damaged
    // file says, nothing beyond sparse_bytes(most) is read.
    static SparseView of(const void *bytes, std::size_t most) {
        const auto *head = static_cast<const SparseHead *>(bytes);
        const std::size_t count = std::min<std::size_t>(head->count, most);
        const auto *indices = reinterpret_cast<const std::int32_t *>(head + 1);
        return {indices, reinterpret_cast<const float *>(indices + count), count};
    }
};

// The indices must ascend. If they do not, the result is some number, but no byte outside of the
// views is read.
float l2_squared(const SparseView &a, const SparseView &b);
float inner_product(const SparseView &a, const SparseView &b);
float l1(const SparseView &a, const SparseView &b);

// All three sums in one order, so that a vector is at distance 0 from itself.
CosineParts cosine_parts(const SparseView &a, const SparseView &b);

// The squared norm that the head of a vector measured by cosine holds: the same as squared_norm_a
// in cosine_parts() of this vector with any other.
float squared_norm(const SparseView &a);

}  // namespace dvec::distance
