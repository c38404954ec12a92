// Compact vectors: what an index holds in the place of vectors where their memory is to be spared.
// A vector is split into the mean of its elements and the rest; the rest is turned by a fixed
// rotation, and each of its elements rounded to 8, 4 or 1 bits (RaBitQ and its extension; Gao and
// Long, SIGMOD 2024 and 2025; graph/compact_encoder.hpp does it). With a mean m, a step s, and
// steps c[i] that are numbers below 2^bits, a compact vector stands for
//
//     m in each element, plus the turned vector whose elements are s * (c[i] - (2^bits - 1) / 2)
//
// The step is chosen so that what the rounding takes away is perpendicular to the rest. So a
// product of the compact vector with another one is right on average, and off by an error in a
// direction that has nothing to do with the other vector.
//
// L1 distances are none of the turned vectors. For these the vector is not turned: it stands for
// elements m + s * (c[i] - (2^bits - 1) / 2), nearest to the vector's own.
//
// Seen by the kernel files: no library headers (kernel_table.hpp says why).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/distance/kernel.hpp"

namespace dvec::distance {

struct CompactHeader {
    double square;  // of the vector's length, before any rounding
    double mean;
    double step;
    float error;   // the length of what the rounding took away
    uint32_t sum;  // of the steps
};
static_assert(sizeof(CompactHeader) == 32);

// Steps stand behind the header, as many as there are elements after the rotation. Eight bits: a
// byte each. Four: of each sixty-four, the first half in the lower bits of thirty-two bytes, the
// second half in the upper ones. One: eight to a byte, the first lowest.
constexpr size_t compact_width(size_t dimensions) { return (dimensions + 63) / 64 * 64; }
constexpr size_t compact_bytes(unsigned bits, size_t dimensions) {
    return sizeof(CompactHeader) + compact_width(dimensions) * bits / 8;
}
// Queries have so many bits for each element, whatever rows have.
constexpr unsigned bits_of_queries = 8;

static inline CompactHeader compact_header(const void *vector) {
    CompactHeader header;
    __builtin_memcpy(&header, vector, sizeof(header));
    return header;
}

// How many bits an element of these has; 0 for elements that are not compact.
constexpr unsigned compact_bits(Element element) {
    switch (element) {
        case Element::compact8:
            return 8;
        case Element::compact4:
            return 4;
        case Element::compact1:
            return 1;
        default:
            return 0;
    }
}

}  // namespace dvec::distance
