// Kernels for x86-64 with AVX-512 F, BW, DQ and VL: sixteen floats to a register.
//
// Compiled with flags that only this file gets; kernel_table.hpp says what follows from that.
#include "engine/distance/compact_kernels.hpp"
#include "engine/distance/compact_l1_kernels.hpp"
#include "engine/distance/dense_kernels.hpp"
#include "engine/distance/kernel_table.hpp"
#include "engine/distance/key_kernels.hpp"
#include "engine/distance/link_code_kernels.hpp"

#if defined(__x86_64__)

#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512VL__) || \
    !defined(__AVX512DQ__) || !defined(__AVX2__) || !defined(__FMA__) || !defined(__F16C__)
#error "compile with -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c"
#endif

#include <immintrin.h>

namespace dvec::distance {

namespace {

// For parts of registers and for conversions the zero-masking intrinsics are used with every lane
// kept; they compile to the same instructions as the plain ones. GCC 12's plain intrinsics, even
// the casts, read an undefined register and cause warnings about it.
struct Floats {
    using Register = __m512;
    static constexpr size_t width = 16;
    static constexpr size_t at_once = 4;

    static __m512 zero() { return _mm512_setzero_ps(); }
    static __m512 all(float number) { return _mm512_set1_ps(number); }

    static __m512 load(const float *a) { return _mm512_loadu_ps(a); }
    static __m512 load(const Half *a) {
        return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(a)));
    }
    // Lanes masked off load as zero without touching memory.
    static __m512 load_first(const float *a, size_t count) {
        return _mm512_maskz_loadu_ps(first_lanes(count), a);
    }
    static __m512 load_first(const Half *a, size_t count) {
        return widen(_mm256_maskz_loadu_epi16(first_lanes(count), a));
    }

    static __m512 numbers(const unsigned char *bytes) {
        return numbers(_mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes)));
    }
    static __m512 numbers_of_block(const unsigned char *bytes, size_t i) {
        return numbers(bytes + i * width);
    }
    static __m512 first_numbers(const unsigned char *bytes, size_t count) {
        return numbers(_mm_maskz_loadu_epi8(first_lanes(count), bytes));
    }
    static __m512 first(__m512 a, size_t count) {
        return _mm512_maskz_mov_ps(first_lanes(count), a);
    }

    static __m512 plus(__m512 a, __m512 b) { return _mm512_add_ps(a, b); }
    static __m512 minus(__m512 a, __m512 b) { return _mm512_sub_ps(a, b); }
    static __m512 absolute_difference(__m512 a, __m512 b) { return _mm512_abs_ps(minus(a, b)); }
    static __m512 plus_product(__m512 sum, __m512 a, __m512 b) {
        return _mm512_fmadd_ps(a, b, sum);
    }

    static float sum(__m512 a) {
        const __m256 eight = _mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xff, a, 0),
                                           _mm512_maskz_extractf32x8_ps(0xff, a, 1));
        const __m128 four =
            _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }

    // Loaded by halves of a register, since taking one apart would cost an instruction.
    struct Squares {
        static constexpr size_t half_width = width / 2;
        __m512d even = _mm512_setzero_pd();
        __m512d odd = _mm512_setzero_pd();

        template <typename Scalar>
        void add(const Scalar *a) {
            even = plus_square(even, load_half(a));
            odd = plus_square(odd, load_half(a + half_width));
        }
        template <typename Scalar>
        void add_first(const Scalar *a, size_t count) {
            if (count & half_width) {
                even = plus_square(even, load_half(a));
                a += half_width;
            }
            if (const size_t last = count % half_width; last != 0) {
                odd = plus_square(odd, load_first_of_half(a, last));
            }
        }
        void operator+=(const Squares &other) {
            even = _mm512_add_pd(even, other.even);
            odd = _mm512_add_pd(odd, other.odd);
        }
        double total() const {
            const __m512d eight = _mm512_add_pd(even, odd);
            const __m256d four = _mm256_add_pd(_mm512_maskz_extractf64x4_pd(0xff, eight, 0),
                                               _mm512_maskz_extractf64x4_pd(0xff, eight, 1));
            const __m128d two =
                _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
            return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
        }

      private:
        static __m256 load_half(const float *a) { return _mm256_loadu_ps(a); }
        static __m256 load_half(const Half *a) {
            return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(a)));
        }
        static __m256 load_first_of_half(const float *a, size_t count) {
            return _mm256_maskz_loadu_ps(static_cast<__mmask8>(first_lanes(count)), a);
        }
        static __m256 load_first_of_half(const Half *a, size_t count) {
            return _mm256_cvtph_ps(
                _mm_maskz_loadu_epi16(static_cast<__mmask8>(first_lanes(count)), a));
        }
        static __m512d plus_square(__m512d sum, __m256 a) {
            const __m512d wide = _mm512_maskz_cvtps_pd(0xff, a);
            return _mm512_fmadd_pd(wide, wide, sum);
        }
    };

  protected:
    // The mask of the first `count` lanes, for count below the width.
    static __mmask16 first_lanes(size_t count) { return static_cast<__mmask16>((1U << count) - 1); }
    static __m512 widen(__m256i halves) { return _mm512_maskz_cvtph_ps(0xffff, halves); }
    static __m512 numbers(__m128i bytes) {
        return _mm512_maskz_cvtepi32_ps(0xffff, _mm512_maskz_cvtepu8_epi32(0xffff, bytes));
    }
};

struct Keys {
    using Register = __m512i;
    static constexpr unsigned count = 8;

    static __m512i load(const uint64_t *keys) { return _mm512_loadu_si512(keys); }
    static __m512i all(uint64_t key) { return _mm512_set1_epi64(static_cast<int64_t>(key)); }
    static __m512i minus(__m512i a, __m512i b) { return _mm512_sub_epi64(a, b); }
    static __m512i both(__m512i a, __m512i b) { return _mm512_and_si512(a, b); }
    static unsigned at_most(__m512i a, __m512i b) { return _mm512_cmple_epu64_mask(a, b); }
    static unsigned equal(__m512i a, __m512i b) { return _mm512_cmpeq_epi64_mask(a, b); }
};

struct Bytes {
    using Register = __m512i;
    // Of the bytes with even numbers, and with odd ones.
    struct Sums {
        __m512i even, odd;
    };
    static constexpr size_t rows = 2;

    static __m512i load(const unsigned char *a) { return _mm512_loadu_si512(a); }
    static __m512i lower(__m512i a) { return _mm512_and_si512(a, _mm512_set1_epi8(0xF)); }
    static __m512i upper(__m512i a) { return lower(_mm512_srli_epi16(a, 4)); }
    static __m512i look_up(__m512i tables, __m512i indexes) {
        return _mm512_shuffle_epi8(tables, indexes);
    }
    static __m512i plus(__m512i a, __m512i b) { return _mm512_add_epi8(a, b); }
    static Sums no_sums() { return {_mm512_setzero_si512(), _mm512_setzero_si512()}; }
    static Sums add(Sums sums, __m512i a) {
        return {_mm512_add_epi16(sums.even, _mm512_and_si512(a, _mm512_set1_epi16(0xFF))),
                _mm512_add_epi16(sums.odd, _mm512_srli_epi16(a, 8))};
    }
    // The two rows of a register have a half each.
    static __m256i of_both_rows(__m512i sums) {
        return _mm256_add_epi16(_mm512_maskz_extracti64x4_epi64(0xf, sums, 0),
                                _mm512_maskz_extracti64x4_epi64(0xf, sums, 1));
    }
    static void store(Sums sums, uint16_t *to) {
        const __m256i even = of_both_rows(sums.even);
        const __m256i odd = of_both_rows(sums.odd);
        const __m256i first = _mm256_unpacklo_epi16(even, odd);
        const __m256i second = _mm256_unpackhi_epi16(even, odd);
        auto *out = reinterpret_cast<__m256i *>(to);
        _mm256_storeu_si256(out, _mm256_permute2x128_si256(first, second, 0x20));
        _mm256_storeu_si256(out + 1, _mm256_permute2x128_si256(first, second, 0x31));
    }
};

struct Steps {
    using Register = __m512i;
    using Sums = __m512i;
    static constexpr size_t count = 64;

    static __m512i bytes(const unsigned char *a) { return _mm512_loadu_si512(a); }
    // All sixty-four that stand in thirty-two bytes.
    static __m512i nibbles(const unsigned char *a, size_t) {
        const __m512i both = _mm512_maskz_broadcast_i64x4(
            0xff, _mm256_loadu_si256(reinterpret_cast<const __m256i *>(a)));
        const __m512i upper = _mm512_maskz_srli_epi16(0xffffffff, both, 4);
        return _mm512_and_si512(_mm512_mask_blend_epi64(0xf0, both, upper), _mm512_set1_epi8(0xF));
    }
    static __m512i bits(const unsigned char *a) {
        uint64_t word;
        __builtin_memcpy(&word, a, sizeof(word));
        return _mm512_maskz_set1_epi8(word, 1);
    }
    static __m512i no_sums() { return _mm512_setzero_si512(); }
    static __m512i add(__m512i sums, __m512i a, __m512i b) {
        const __m512i even = _mm512_madd_epi16(even_bytes(a), even_bytes(b));
        const __m512i odd = _mm512_madd_epi16(odd_bytes(a), odd_bytes(b));
        return _mm512_add_epi32(sums, _mm512_add_epi32(even, odd));
    }
    static __m512i add_small(__m512i sums, __m512i a, __m512i b) {
        const __m512i pairs = _mm512_maddubs_epi16(a, b);
        return _mm512_add_epi32(sums, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
    }
    static uint32_t total(__m512i sums) {
        const __m256i eight = _mm256_add_epi32(_mm512_maskz_extracti64x4_epi64(0xf, sums, 0),
                                               _mm512_maskz_extracti64x4_epi64(0xf, sums, 1));
        const __m128i four =
            _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
        const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
        return static_cast<uint32_t>(_mm_cvtsi128_si32(two)) +
               static_cast<uint32_t>(_mm_extract_epi32(two, 1));
    }

  private:
    static __m512i even_bytes(__m512i a) { return _mm512_and_si512(a, _mm512_set1_epi16(0xFF)); }
    static __m512i odd_bytes(__m512i a) { return _mm512_srli_epi16(a, 8); }
};

struct StepNumbers : Floats {
    static __m512 nibbles(const unsigned char *a, bool upper) {
        const __m128i both = _mm_loadu_si128(reinterpret_cast<const __m128i *>(a));
        return numbers(_mm_and_si128(upper ? _mm_srli_epi16(both, 4) : both, _mm_set1_epi8(0xF)));
    }
    static __m512 bits(const unsigned char *a, size_t) {
        __mmask16 set;
        __builtin_memcpy(&set, a, sizeof(set));
        return _mm512_maskz_mov_ps(set, all(1));
    }
    static float sum_by_halves(__m512 a) { return sum(a); }
};

constexpr Kernel rows[] = {
    coded_row<SquaredDifference<Floats>>("float32 l2_squared avx512"),
    coded_row<Product<Floats>>("float32 inner_product avx512"),
    float_row<AbsoluteDifference<Floats>>("float32 l1 avx512"),
    half_row<SquaredDifference<Floats>>("float16 l2_squared avx512"),
    half_row<Product<Floats>>("float16 inner_product avx512"),
    half_row<AbsoluteDifference<Floats>>("float16 l1 avx512"),
    cosine_row_of<Floats>("float32 cosine avx512"),
    half_cosine_row_of<Floats>("float16 cosine avx512"),
    compact_row<Steps, CompactL2Squared, 8>("compact8 l2_squared avx512"),
    compact_row<Steps, CompactProduct, 8>("compact8 inner_product avx512"),
    compact_row<Steps, CompactCosine, 8>("compact8 cosine avx512"),
    compact_l1_row_of<StepNumbers, 8>("compact8 l1 avx512"),
    compact_row<Steps, CompactL2Squared, 4>("compact4 l2_squared avx512"),
    compact_row<Steps, CompactProduct, 4>("compact4 inner_product avx512"),
    compact_row<Steps, CompactCosine, 4>("compact4 cosine avx512"),
    compact_l1_row_of<StepNumbers, 4>("compact4 l1 avx512"),
    compact_row<Steps, CompactL2Squared, 1>("compact1 l2_squared avx512"),
    compact_row<Steps, CompactProduct, 1>("compact1 inner_product avx512"),
    compact_row<Steps, CompactCosine, 1>("compact1 cosine avx512"),
    compact_l1_row_of<StepNumbers, 1>("compact1 l1 avx512"),
};

}  // namespace

const KernelTable avx512_table = {
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
    .float32 = dense_kernels<Floats, float>,
    .float16 = dense_kernels<Floats, Half>,
    .keys = key_kernels_of<Keys>,
    .link_codes = link_code_kernels_of<Bytes>,
};

}  // namespace dvec::distance

#else

namespace dvec::distance {
const KernelTable avx512_table = {};
}

#endif
