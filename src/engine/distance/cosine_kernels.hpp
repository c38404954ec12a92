// The rows of the cosine distance, made from the parts that each instruction set's file computes.
//
// Everything here is static, so that no code made for one instruction set is visible outside of its
// object (kernel_table.hpp).
#pragma once

#include "engine/distance/kernel_table.hpp"

namespace dvec::distance {

using CosinePartsFunction = CosineParts (*)(const void *a, const void *b, size_t dimensions);

template <CosinePartsFunction parts>
static double whole_cosine(const void *a, const void *b, size_t dimensions) {
    return cosine_distance(parts(a, b, dimensions));
}

template <CosinePartsFunction parts>
static float cosine(const void *a, const void *b, size_t dimensions) {
    return static_cast<float>(whole_cosine<parts>(a, b, dimensions));
}

// What nodes are linked by. Where the squares of a vector vanish, the sums in float put every other
// vector at distance 0 or 2 from it: in a graph it would be the nearest neighbour of half of the
// nodes. So such vectors are measured in double.
template <CosinePartsFunction parts>
static float direction(const void *a, const void *b, size_t dimensions) {
    const CosineParts sums = parts(a, b, dimensions);
    if (far_from_limits(sums.squared_norm_a) && far_from_limits(sums.squared_norm_b)) {
        return static_cast<float>(cosine_distance(sums));
    }
    return static_cast<float>(distance_of_directions(static_cast<const float *>(a),
                                                     static_cast<const float *>(b), dimensions));
}

// The functions of a row of inner products.
struct ProductFunctions {
    DistanceFunction one;
    FourDistancesFunction four;
};

// The row for vectors of floats.
template <CosinePartsFunction parts>
static constexpr Kernel cosine_row(const char *name, ProductFunctions products,
                                   ProductFunctions products_of_codes) {
    return {.element = Element::float32,
            .metric = Metric::cosine,
            .distance = cosine<parts>,
            .four_distances = four_by_one<cosine<parts>>,
            .name = name,
            .code_distance = products_of_codes.one,
            .four_code_distances = products_of_codes.four,
            .product = products.one,
            .four_products = products.four,
            .whole = whole_cosine<parts>,
            .link = direction<parts>};
}

// The same for halves, whose squares are all far from the limits of floats.
template <CosinePartsFunction parts>
static constexpr Kernel half_cosine_row(const char *name, ProductFunctions products) {
    return {.element = Element::float16,
            .metric = Metric::cosine,
            .distance = cosine<parts>,
            .four_distances = four_by_one<cosine<parts>>,
            .name = name,
            .product = products.one,
            .four_products = products.four,
            .whole = whole_cosine<parts>};
}

}  // namespace dvec::distance
