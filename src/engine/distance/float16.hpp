// Distances of half-precision vectors for callers that know what they hold, such as the SQL
// operators.
//
// Halves are widened as they are loaded and everything after that happens in float. So under each
// instruction set these return the bits that their namesakes of float32.hpp return for the
// widened vectors, and its conditions and rounding hold here with an alignment of two bytes.
#pragma once

#include <cstddef>

#include "engine/distance/cosine_parts.hpp"
#include "engine/distance/half.hpp"

namespace dvec::distance {

float l2_squared(const Half *a, const Half *b, std::size_t dimensions);
float inner_product(const Half *a, const Half *b, std::size_t dimensions);
float l1(const Half *a, const Half *b, std::size_t dimensions);
CosineParts cosine_parts(const Half *a, const Half *b, std::size_t dimensions);
double squared_norm(const Half *a, std::size_t dimensions);

}  // namespace dvec::distance
