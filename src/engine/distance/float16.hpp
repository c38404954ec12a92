// Distances of half-precision vectors for callers that know the type of their vectors, such as the
// SQL operators.
//
// Halves are widened as they are loaded and everything after that happens in float. So under each
// instruction set these return the bits that the functions of the same names in float32.hpp return
// for the widened vectors. The conditions and the rounding described there hold here, too, with an
// alignment of two bytes.
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
