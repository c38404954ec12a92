// Distances as SQL sees them: the engine's float kernels, the same that order an index, finished in
// double.
//
// Overflow inside a kernel gives Infinity, and a distance without meaning (the cosine of a zero
// vector) gives NaN, which sorts last; neither is an error.
#include "engine/distance/float32.hpp"
#include "postgres/types/vector.hpp"

namespace dvec::postgres {
namespace {

struct Operands {
    const float *left;
    const float *right;
    std::size_t dimensions;
};

// The two vectors of a distance, which must have as many dimensions each.
Operands operands(FunctionCallInfo fcinfo) {
    const Vector *left = vector_argument(fcinfo, 0);
    const Vector *right = vector_argument(fcinfo, 1);
    check_same_dimensions(left, right);
    return {left->values, right->values, static_cast<std::size_t>(left->dimensions)};
}

double l2_squared(const Operands &pair) {
    return distance::l2_squared(pair.left, pair.right, pair.dimensions);
}

double dot(const Operands &pair) {
    return distance::inner_product(pair.left, pair.right, pair.dimensions);
}

// Rounding may carry a cosine past 1; a NaN stays one.
double clamp_cosine(double cosine) { return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine; }

}  // namespace

DVEC_FUNCTION(l2_distance) { PG_RETURN_FLOAT8(std::sqrt(l2_squared(operands(fcinfo)))); }

DVEC_FUNCTION(vector_l2_squared_distance) { PG_RETURN_FLOAT8(l2_squared(operands(fcinfo))); }

DVEC_FUNCTION(inner_product) { PG_RETURN_FLOAT8(dot(operands(fcinfo))); }

DVEC_FUNCTION(vector_negative_inner_product) { PG_RETURN_FLOAT8(-dot(operands(fcinfo))); }

DVEC_FUNCTION(cosine_distance) {
    const Operands pair = operands(fcinfo);
    const distance::CosineParts parts =
        distance::cosine_parts(pair.left, pair.right, pair.dimensions);
    // One root of the product, which in double neither overflows nor underflows.
    const double norms = std::sqrt(static_cast<double>(parts.squared_norm_a) *
                                   static_cast<double>(parts.squared_norm_b));
    PG_RETURN_FLOAT8(1 - clamp_cosine(parts.dot / norms));
}

// The angle between unit vectors in half turns: unlike the cosine distance it is a metric.
DVEC_FUNCTION(vector_spherical_distance) {
    PG_RETURN_FLOAT8(std::acos(clamp_cosine(dot(operands(fcinfo)))) / M_PI);
}

DVEC_FUNCTION(l1_distance) {
    const Operands pair = operands(fcinfo);
    PG_RETURN_FLOAT8(distance::l1(pair.left, pair.right, pair.dimensions));
}

}  // namespace dvec::postgres
