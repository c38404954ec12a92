// Kernels on bits for x86-64 with AVX-512 VPOPCNTDQ, which counts the ones of eight 64-bit words in
// one instruction.
//
// Compiled with flags that only this file gets; kernel_table.hpp says what follows from that.
#include "engine/distance/bit_kernels.hpp"
#include "engine/distance/kernel_table.hpp"

#if defined(__x86_64__)

#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512VPOPCNTDQ__)
#error "compile with -mavx512f -mavx512bw -mavx512vpopcntdq"
#endif

#include <immintrin.h>

namespace dvec::distance {

namespace {

struct Bits {
    using Register = __m512i;
    using Sums = __m512i;  // in eight lanes of 64 bits
    static constexpr size_t bytes = sizeof(__m512i);

    static __m512i load(const unsigned char *a) { return _mm512_loadu_si512(a); }
    static __m512i load_first(const unsigned char *a, size_t count) {
        return _mm512_maskz_loadu_epi8((uint64_t{1} << count) - 1, a);
    }
    static __m512i differing(__m512i a, __m512i b) { return _mm512_xor_si512(a, b); }
    static __m512i both(__m512i a, __m512i b) { return _mm512_and_si512(a, b); }
    static __m512i either(__m512i a, __m512i b) { return _mm512_or_si512(a, b); }
    static __m512i no_ones() { return _mm512_setzero_si512(); }
    static __m512i add_ones(__m512i sums, __m512i a) {
        return _mm512_add_epi64(sums, _mm512_popcnt_epi64(a));
    }
    // Halves are taken in their zero-masking forms for the reason that avx512.cpp gives.
    static uint64_t total(__m512i sums) {
        const __m256i four = _mm256_add_epi64(_mm512_maskz_extracti64x4_epi64(0xff, sums, 0),
                                              _mm512_maskz_extracti64x4_epi64(0xff, sums, 1));
        const __m128i two =
            _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
        return static_cast<uint64_t>(_mm_cvtsi128_si64(two)) +
               static_cast<uint64_t>(_mm_extract_epi64(two, 1));
    }
};

constexpr Kernel rows[] = {
    hamming_row<Bits>("bit hamming avx512"),
    jaccard_row<Bits>("bit jaccard avx512"),
};

}  // namespace

const KernelTable avx512_popcount_table = {
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
    .bits = bit_kernels<Bits>,
};

}  // namespace dvec::distance

#else

namespace dvec::distance {
const KernelTable avx512_popcount_table = {};
}

#endif
