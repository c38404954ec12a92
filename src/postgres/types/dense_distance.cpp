// Distances as SQL sees them: the engine's kernels, the same that order an index, finished in
// double.
//
// Overflow inside a kernel gives Infinity, and a distance without meaning (the cosine of a zero
// vector) gives NaN, which sorts last; neither is an error.
#include "engine/distance/float16.hpp"
#include "engine/distance/float32.hpp"
#include "postgres/types/dense.hpp"

namespace dvec::postgres {
namespace {

template <class Element>
struct Operands {
    const Element *left;
    const Element *right;
    std::size_t dimensions;
};

// The two vectors of a distance, which must have as many dimensions each.
template <class Element>
Operands<Element> operands(FunctionCallInfo fcinfo) {
    const Dense<Element> *left = dense_argument<Element>(fcinfo, 0);
    const Dense<Element> *right = dense_argument<Element>(fcinfo, 1);
    check_same_dimensions(left, right);
    return {left->values, right->values, static_cast<std::size_t>(left->dimensions)};
}

template <class Element>
double l2_squared(FunctionCallInfo fcinfo) {
    const auto [left, right, dimensions] = operands<Element>(fcinfo);
    return distance::l2_squared(left, right, dimensions);
}

template <class Element>
double dot(FunctionCallInfo fcinfo) {
    const auto [left, right, dimensions] = operands<Element>(fcinfo);
    return distance::inner_product(left, right, dimensions);
}

template <class Element>
double cosine(FunctionCallInfo fcinfo) {
    const auto [left, right, dimensions] = operands<Element>(fcinfo);
    return distance::cosine_distance(distance::cosine_parts(left, right, dimensions));
}

// The angle between unit vectors in half turns: unlike the cosine distance it is a metric.
template <class Element>
double half_turns(FunctionCallInfo fcinfo) {
    return std::acos(distance::clamp_cosine(dot<Element>(fcinfo))) / M_PI;
}

template <class Element>
double l1(FunctionCallInfo fcinfo) {
    const auto [left, right, dimensions] = operands<Element>(fcinfo);
    return distance::l1(left, right, dimensions);
}

}  // namespace

DVEC_FUNCTION(l2_distance) { PG_RETURN_FLOAT8(std::sqrt(l2_squared<float>(fcinfo))); }
DVEC_FUNCTION(vector_l2_squared_distance) { PG_RETURN_FLOAT8(l2_squared<float>(fcinfo)); }
DVEC_FUNCTION(inner_product) { PG_RETURN_FLOAT8(dot<float>(fcinfo)); }
DVEC_FUNCTION(vector_negative_inner_product) { PG_RETURN_FLOAT8(-dot<float>(fcinfo)); }
DVEC_FUNCTION(cosine_distance) { PG_RETURN_FLOAT8(cosine<float>(fcinfo)); }
DVEC_FUNCTION(vector_spherical_distance) { PG_RETURN_FLOAT8(half_turns<float>(fcinfo)); }
DVEC_FUNCTION(l1_distance) { PG_RETURN_FLOAT8(l1<float>(fcinfo)); }

DVEC_FUNCTION(halfvec_l2_distance) { PG_RETURN_FLOAT8(std::sqrt(l2_squared<Half>(fcinfo))); }
DVEC_FUNCTION(halfvec_l2_squared_distance) { PG_RETURN_FLOAT8(l2_squared<Half>(fcinfo)); }
DVEC_FUNCTION(halfvec_inner_product) { PG_RETURN_FLOAT8(dot<Half>(fcinfo)); }
DVEC_FUNCTION(halfvec_negative_inner_product) { PG_RETURN_FLOAT8(-dot<Half>(fcinfo)); }
DVEC_FUNCTION(halfvec_cosine_distance) { PG_RETURN_FLOAT8(cosine<Half>(fcinfo)); }
DVEC_FUNCTION(halfvec_spherical_distance) { PG_RETURN_FLOAT8(half_turns<Half>(fcinfo)); }
DVEC_FUNCTION(halfvec_l1_distance) { PG_RETURN_FLOAT8(l1<Half>(fcinfo)); }

}  // namespace dvec::postgres
