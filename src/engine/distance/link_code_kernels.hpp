// The loop over link codes that all instruction sets share, over registers that each of their files
// describes by a type Bytes:
//
//     Register                       `rows` times the same byte of thirty-two codes
//     Sums                           of sixteen bits, one for each code
//     load(a)                        all of it
//     lower(r), upper(r)             four bits of each byte
//     look_up(tables, indexes)       in each sixteen bytes of `tables`
//     plus(a, b)                     of bytes; they do not overflow
//     no_sums(), add(sums, r)
//     store(sums, to)                in the order of the codes
//
// Everything here is static, and Bytes local to its file, for the reason that kernel_table.hpp
// gives.
#pragma once

#include "engine/distance/link_codes.hpp"

namespace dvec::distance {

template <typename Bytes>
static void link_code_sums(const unsigned char *codes, const unsigned char *tables, size_t bytes,
                           uint16_t *to) {
    const unsigned char *upper_tables = tables + codes_at_once * bytes;
    typename Bytes::Sums sums = Bytes::no_sums();
    for (size_t at = 0; at < codes_at_once * bytes; at += codes_at_once * Bytes::rows) {
        const typename Bytes::Register row = Bytes::load(codes + at);
        sums = Bytes::add(
            sums, Bytes::plus(Bytes::look_up(Bytes::load(tables + at), Bytes::lower(row)),
                              Bytes::look_up(Bytes::load(upper_tables + at), Bytes::upper(row))));
    }
    Bytes::store(sums, to);
}

// Compilers make this a loop over registers of the set.
static inline void link_code_distances(const uint16_t *__restrict sums,
                                       const float *__restrict numbers, const LinkCodeTerms &terms,
                                       float *__restrict distances) {
    const LinkCodeTerms by = terms;
    for (size_t i = 0; i < codes_at_once; ++i) {
        const float distance =
            by.node + by.share * numbers[i] +
            numbers[codes_at_once + i] * (by.least + by.step * static_cast<float>(sums[i]));
        distances[i] = distance == distance ? distance : -__builtin_inff();
    }
}

template <typename Bytes>
static constexpr LinkCodeKernels link_code_kernels_of = {link_code_sums<Bytes>,
                                                         link_code_distances};

}  // namespace dvec::distance
