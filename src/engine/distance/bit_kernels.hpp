// The loops that the bit kernels of all instruction sets share, over a register that each of their
// files describes by a type Bits:
//
//     Register                        the bits at work
//     Sums                            counts, in as many lanes as the set likes
//     bytes                           size of a register
//     load(a), load_first(a, count)   all of it; `count` bytes, fewer than `bytes`, and zeros.
//                                     No byte more is touched, so a string may end at the edge of
//                                     a mapping.
//     differing, both, either         of two registers, bit by bit
//     no_ones(), add_ones(sums, r)    sums with the ones of a register added
//     total(sums)
//
// Everything here is static, and Bits local to its file, so that no code made for one instruction
// set is visible outside of its object (kernel_table.hpp).
#pragma once

#include "engine/distance/kernel_table.hpp"

namespace dvec::distance {

// Calls add(a register of a, the same of b) for the whole strings.
template <typename Bits, typename Add>
static inline void for_each_register(const void *a_bytes, const void *b_bytes, size_t bytes,
                                     Add add) {
    const auto *a = static_cast<const unsigned char *>(a_bytes);
    const auto *b = static_cast<const unsigned char *>(b_bytes);
    for (; bytes >= Bits::bytes; bytes -= Bits::bytes) {
        add(Bits::load(a), Bits::load(b));
        a += Bits::bytes;
        b += Bits::bytes;
    }
    if (bytes != 0) {
        add(Bits::load_first(a, bytes), Bits::load_first(b, bytes));
    }
}

template <typename Bits>
static uint64_t differing(const void *a_bytes, const void *b_bytes, size_t bytes) {
    using Register = typename Bits::Register;
    typename Bits::Sums sums = Bits::no_ones();
    for_each_register<Bits>(a_bytes, b_bytes, bytes, [&](Register a, Register b) {
        sums = Bits::add_ones(sums, Bits::differing(a, b));
    });
    return Bits::total(sums);
}

template <typename Bits>
static BitOverlap overlap(const void *a_bytes, const void *b_bytes, size_t bytes) {
    using Register = typename Bits::Register;
    typename Bits::Sums both = Bits::no_ones();
    typename Bits::Sums either = Bits::no_ones();
    for_each_register<Bits>(a_bytes, b_bytes, bytes, [&](Register a, Register b) {
        both = Bits::add_ones(both, Bits::both(a, b));
        either = Bits::add_ones(either, Bits::either(a, b));
    });
    return {Bits::total(both), Bits::total(either)};
}

template <typename Bits>
static float hamming(const void *a, const void *b, size_t dimensions) {
    return static_cast<float>(differing<Bits>(a, b, (dimensions + 7) / 8));
}

template <typename Bits>
static double whole_jaccard(const void *a, const void *b, size_t dimensions) {
    return jaccard_distance(overlap<Bits>(a, b, (dimensions + 7) / 8));
}

template <typename Bits>
static float jaccard(const void *a, const void *b, size_t dimensions) {
    return static_cast<float>(whole_jaccard<Bits>(a, b, dimensions));
}

template <typename Bits>
static constexpr Kernel hamming_row(const char *name) {
    return {Element::bit, Metric::hamming, hamming<Bits>, four_by_one<hamming<Bits>>, name};
}

template <typename Bits>
static constexpr Kernel jaccard_row(const char *name) {
    return {.element = Element::bit,
            .metric = Metric::jaccard,
            .distance = jaccard<Bits>,
            .four_distances = four_by_one<jaccard<Bits>>,
            .name = name,
            .whole = whole_jaccard<Bits>};
}

template <typename Bits>
static constexpr BitKernels bit_kernels = {differing<Bits>, overlap<Bits>};

}  // namespace dvec::distance
