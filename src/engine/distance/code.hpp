// Codes: vectors of float32 rounded to a byte per element, at a quarter of the memory traffic.
//
// A code stands for the vector low + step * c[i], where each element is rounded to the nearest of
// 256 values between the least and the greatest element: scalar quantisation with a range per
// vector, so that nothing is learned and a vector's code depends on it alone (Aguerrebere et al.,
// Similarity Search in the Blink of an Eye with Compressed Indices, PVLDB 16(11), 2023; without
// their subtraction of the mean). It is then made slightly longer or shorter, so that its
// difference from the vector is perpendicular to the vector. The code also carries how far it is
// from its vector, so that distances to codes give bounds, as distances to the cells of a VA-file
// do (Weber, Schek, Blott, VLDB 1998):
//
//     | |q - x| - |q - code| | <= error,    | q.x - q.code | <= |q| * error
//
// Seen by the kernel files: no library headers (kernel_table.hpp says why).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/distance/half.hpp"

namespace dvec::distance {

// What a code begins with; a byte for each element follows.
struct CodeHeader {
    float low;
    float step;
    // An upper bound of the Euclidean distance between vector and code, plus what the rounding of
    // two kernels may add to the difference of their results (code.cpp says how it is computed).
    // Infinite when the code says too little about the vector to be of use, because it is farther
    // from the vector than 1/32 of the vector's length, or because squares of its elements are
    // beyond float's range.
    float error;
    // 1 / the vector's length, within 1 / 2^24 times k of code.cpp; 0 where squares of the length
    // are too near to the limits of floats (far_from_limits in cosine_parts.hpp).
    float inverse_length;
};
static_assert(sizeof(CodeHeader) == 16);

static inline CodeHeader code_header(const void *code) {
    CodeHeader header;
    __builtin_memcpy(&header, code, sizeof(header));
    return header;
}

constexpr size_t code_bytes(size_t dimensions) { return sizeof(CodeHeader) + dimensions; }

// The value of CodeHeader::inverse_length for this vector.
float inverse_length(const float *vector, size_t dimensions);
float inverse_length(const Half *vector, size_t dimensions);

// Writes code_bytes(dimensions), wherever they lie. The same bits for the same vector, on every
// machine. Elements that are not finite make the error infinite. Pure and thread-safe; measured at
// 90 ns for 128 dimensions and 460 ns for 768.
void encode(const float *vector, size_t dimensions, void *code);

}  // namespace dvec::distance
