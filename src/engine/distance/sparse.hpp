// Vectors of which only the elements other than zero are kept, and their distances.
//
// The bytes of such a vector, both in a slot of an index and behind the header of an SQL value:
//
//     [count: uint32][norm: float][indices: int32 x count][values: float x count]
//
// Indices ascend and begin at 0. Slots of an index have one size, with room for so many elements as
// its Element says, or for all dimensions if these are fewer. Bytes behind the last element are
// zero. A vector with more elements than there is room for is *cut* where its Element allows that:
// the slot has the greatest of them by magnitude, in the order of their indices, and the count of
// all.
//
// `norm` is, for cosine, the squared length of the vector, cut or not. Otherwise it is the length
// of what was left out of a cut vector, for l1 the sum of its magnitudes, and 0 as a rule.
//
// A distance to a cut vector is an estimate: products with what was left out are taken for zero.
//
// Distances are summed in float in the order of the indices, two vectors merged, one rounding for
// each term and each addition. They are the same under every instruction set.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "engine/distance/cosine_parts.hpp"
#include "engine/distance/kernel.hpp"

namespace dvec::distance {

struct SparseHead {
    std::uint32_t count;
    float norm;
};
static_assert(sizeof(SparseHead) == 8);

// How many elements other than zero a vector may have in an index of sparse_float32, whose vectors
// are not cut. A query of any sparse index may have as many, or more if rows have.
inline constexpr std::size_t most_indexed_elements = 1000;

struct SparseRoom {
    Element element;
    std::size_t elements;
};
// Of the elements whose vectors may be cut.
inline constexpr SparseRoom sparse_rooms[] = {
    {Element::sparse_16, 16},     {Element::sparse_32, 32},       {Element::sparse_64, 64},
    {Element::sparse_128, 128},   {Element::sparse_192, 192},     {Element::sparse_256, 256},
    {Element::sparse_384, 384},   {Element::sparse_512, 512},     {Element::sparse_768, 768},
    {Element::sparse_1024, 1024}, {Element::sparse_2048, 2048},   {Element::sparse_4096, 4096},
    {Element::sparse_8192, 8192}, {Element::sparse_16000, 16000},
};

constexpr bool may_be_cut(Element element) {
    return element >= Element::sparse_16 && element <= Element::sparse_16000;
}

// For how many elements a slot has room; 0 where vectors are not sparse.
constexpr std::size_t sparse_room(Element element) {
    if (element == Element::sparse_float32)
        return most_indexed_elements;
    for (const SparseRoom &room : sparse_rooms)
        if (room.element == element)
            return room.elements;
    return 0;
}

// The element with the least room for so many, or with the greatest of all.
constexpr Element element_with_room(std::size_t elements) {
    for (const SparseRoom &room : sparse_rooms)
        if (room.elements >= elements)
            return room.element;
    return Element::sparse_16000;
}

// For vectors of so many dimensions, zeros included.
constexpr std::size_t indexed_capacity(Element element, std::size_t dimensions) {
    return std::min(dimensions, sparse_room(element));
}

// How many elements a query has that kernels can measure, at most.
constexpr std::size_t query_capacity(Element element, std::size_t dimensions) {
    return std::min(dimensions, std::max(sparse_room(element), most_indexed_elements));
}

constexpr std::size_t sparse_bytes(std::size_t count) {
    return sizeof(SparseHead) + (sizeof(std::int32_t) + sizeof(float)) * count;
}

// A view of the parts of such bytes; it does not own them.
struct SparseView {
    const std::int32_t *indices;
    const float *values;
    std::size_t count;

    // The bytes must be aligned to 4. A count above `most` is taken for `most`, which is what a cut
    // vector has; whatever a damaged file says, nothing beyond sparse_bytes(most) is read.
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

// The squared norm that the head of a vector measured by cosine holds, if it is not cut: the same
// as squared_norm_a in cosine_parts() of this vector with any other.
float squared_norm(const SparseView &a);

// Writes what a slot with room for `capacity` elements holds of a vector: all of it, or what is
// left when it is cut. `out` has sparse_bytes(capacity).
void write_sparse(const SparseView &vector, Metric metric, std::size_t capacity, void *out);

// How much of a distance to a cut vector its kernel may have overlooked, at most: the product of
// the query with what was left out, by cosine in terms of both lengths; by l1 the magnitudes that
// may be in both. 0 where nothing was left out. `query` and `row` are as their kernels read them.
double most_overlooked(const void *query, const void *row, const Kernel &kernel,
                       std::size_t dimensions);

}  // namespace dvec::distance
