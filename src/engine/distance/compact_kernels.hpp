// The kernels on compact vectors (compact.hpp; L1 has its own, compact_l1_kernels.hpp), over
// registers that the file of an instruction set describes by a type Steps:
//
//     Register                 `count` bytes, 64 or a part of that
//     Sums                     of 32 bits, in as many lanes as the set likes
//     bytes(a)                 a register of them
//     nibbles(a, i)            steps of four bits, from number i on, as bytes below 16
//     bits(a)                  steps of one bit, as bytes of 0 and 1
//     no_sums()
//     add(sums, a, b)          products of bytes
//     add_small(sums, a, b)    the same where those of b are below 16
//     total(sums)
//
// Sums of integers are exact, and what follows is in double, so that all sets agree but for the
// last rounding.
//
// Everything here is static, and Steps local to its file, for the reason that kernel_table.hpp
// gives.
#pragma once

#include "engine/distance/compact.hpp"
#include "engine/distance/kernel_table.hpp"

namespace dvec::distance {

template <typename Steps, unsigned bits>
static inline typename Steps::Register steps_from(const unsigned char *steps, size_t i) {
    if constexpr (bits == 8) {
        return Steps::bytes(steps + i);
    } else if constexpr (bits == 4) {
        return Steps::nibbles(steps + i / 64 * 32, i % 64);
    } else {
        return Steps::bits(steps + i / 8);
    }
}

template <typename Steps, unsigned a_bits, unsigned b_bits>
static inline uint32_t sum_of_products(const unsigned char *a, const unsigned char *b,
                                       size_t width) {
    typename Steps::Sums sums = Steps::no_sums();
    for (size_t i = 0; i < width; i += Steps::count) {
        const auto first = steps_from<Steps, a_bits>(a, i);
        const auto second = steps_from<Steps, b_bits>(b, i);
        if constexpr (b_bits == 8) {
            sums = Steps::add(sums, first, second);
        } else {
            sums = Steps::add_small(sums, first, second);
        }
    }
    return Steps::total(sums);
}

struct CompactParts {
    double product;
    double a_square;
    double b_square;
};

template <typename Steps, unsigned a_bits, unsigned b_bits>
static inline CompactParts compact_parts(const void *a_bytes, const void *b_bytes,
                                         size_t dimensions) {
    const CompactHeader a = compact_header(a_bytes);
    const CompactHeader b = compact_header(b_bytes);
    const size_t width = compact_width(dimensions);
    const double sum = sum_of_products<Steps, a_bits, b_bits>(
        static_cast<const unsigned char *>(a_bytes) + sizeof(CompactHeader),
        static_cast<const unsigned char *>(b_bytes) + sizeof(CompactHeader), width);
    constexpr double a_middle = ((1U << a_bits) - 1) / 2.0;
    constexpr double b_middle = ((1U << b_bits) - 1) / 2.0;
    const double of_steps = sum - a_middle * b.sum - b_middle * a.sum +
                            a_middle * b_middle * static_cast<double>(width);
    return {a.mean * b.mean * static_cast<double>(dimensions) + a.step * b.step * of_steps,
            a.square, b.square};
}

struct CompactL2Squared {
    static constexpr Metric metric = Metric::l2_squared;
    static float distance(const CompactParts &parts) {
        const double distance = parts.a_square + parts.b_square - 2 * parts.product;
        return distance > 0 ? static_cast<float>(distance) : 0;
    }
};

struct CompactProduct {
    static constexpr Metric metric = Metric::inner_product;
    static float distance(const CompactParts &parts) { return static_cast<float>(-parts.product); }
};

// Not a number where one of the vectors has no direction, as in SQL.
struct CompactCosine {
    static constexpr Metric metric = Metric::cosine;
    static float distance(const CompactParts &parts) {
        const double lengths = __builtin_sqrt(parts.a_square) * __builtin_sqrt(parts.b_square);
        if (!(lengths > 0)) {
            return __builtin_nanf("");
        }
        const double distance = 1 - parts.product / lengths;
        return distance > 0 ? static_cast<float>(distance) : 0;
    }
};

template <typename Steps, typename Measure, unsigned a_bits, unsigned b_bits>
static float compact_distance(const void *a, const void *b, size_t dimensions) {
    return Measure::distance(compact_parts<Steps, a_bits, b_bits>(a, b, dimensions));
}

template <unsigned bits>
static constexpr Element compact_element = bits == 8   ? Element::compact8
                                           : bits == 4 ? Element::compact4
                                                       : Element::compact1;

template <unsigned bits, Metric metric, DistanceFunction alike, DistanceFunction of_query>
static constexpr Kernel compact_row_of(const char *name) {
    return {.element = compact_element<bits>,
            .metric = metric,
            .distance = alike,
            .four_distances = four_by_one<alike>,
            .name = name,
            .query_distance = of_query,
            .four_query_distances = four_by_one<of_query>};
}

template <typename Steps, typename Measure, unsigned bits>
static constexpr Kernel compact_row(const char *name) {
    return compact_row_of<bits, Measure::metric, compact_distance<Steps, Measure, bits, bits>,
                          compact_distance<Steps, Measure, bits_of_queries, bits>>(name);
}

}  // namespace dvec::distance
