// Kernels for x86-64 with AVX2, FMA and F16C: eight floats to a register.
//
// Compiled with flags that only this file gets; kernel_table.hpp says what follows from that.
#include "engine/distance/bit_kernels.hpp"
#include "engine/distance/compact_kernels.hpp"
#include "engine/distance/compact_l1_kernels.hpp"
#include "engine/distance/dense_kernels.hpp"
#include "engine/distance/kernel_table.hpp"
#include "engine/distance/key_kernels.hpp"
#include "engine/distance/link_code_kernels.hpp"

#if defined(__x86_64__)

#if !defined(__AVX2__) || !defined(__FMA__) || !defined(__F16C__)
#error "compile with -mavx2 -mfma -mf16c"
#endif

#include <immintrin.h>

namespace dvec::distance {

namespace {

// The mask of the first `count` lanes.
__m256i first_lanes(size_t count) {
    static constexpr int window[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(window + 8 - count));
}

struct Floats {
    using Register = __m256;
    static constexpr size_t width = 8;
    static constexpr size_t at_once = 2;

    static __m256 zero() { return _mm256_setzero_ps(); }
    static __m256 all(float number) { return _mm256_set1_ps(number); }

    static __m256 load(const float *a) { return _mm256_loadu_ps(a); }
    static __m256 load(const Half *a) {
        return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(a)));
    }
    static __m256 load_first(const float *a, size_t count) {
        return _mm256_maskload_ps(a, first_lanes(count));
    }
    // The smallest unit that a mask can select is a word of 32 bits, which is two halves. So an odd
    // half is loaded by itself.
    static __m256 load_first(const Half *a, size_t count) {
        static constexpr int pairs[width] = {-1, -1, -1, -1};
        static constexpr int16_t lanes[2 * width - 1] = {0, 0, 0, 0, 0, 0, 0, -1};
        const __m128i mask =
            _mm_loadu_si128(reinterpret_cast<const __m128i *>(pairs + width / 2 - count / 2));
        __m128i halves = _mm_maskload_epi32(reinterpret_cast<const int *>(a), mask);
        if (count % 2 != 0) {
            const __m128i lane =
                _mm_loadu_si128(reinterpret_cast<const __m128i *>(lanes + width - count));
            const __m128i last = _mm_set1_epi16(static_cast<short>(a[count - 1].bits));
            halves = _mm_or_si128(halves, _mm_and_si128(last, lane));
        }
        return _mm256_cvtph_ps(halves);
    }

    static __m256 numbers(const unsigned char *bytes) {
        return numbers(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(bytes)));
    }
    static __m256 numbers_of_block(const unsigned char *bytes, size_t i) {
        return numbers(bytes + i * width);
    }
    static __m256 first_numbers(const unsigned char *bytes, size_t count) {
        return numbers(_mm_cvtsi64_si128(static_cast<int64_t>(last_steps(bytes, count))));
    }
    static __m256 first(__m256 a, size_t count) {
        return _mm256_and_ps(a, _mm256_castsi256_ps(first_lanes(count)));
    }

    static __m256 plus(__m256 a, __m256 b) { return _mm256_add_ps(a, b); }
    static __m256 minus(__m256 a, __m256 b) { return _mm256_sub_ps(a, b); }
    static __m256 absolute_difference(__m256 a, __m256 b) {
        return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), minus(a, b));
    }
    static __m256 plus_product(__m256 sum, __m256 a, __m256 b) {
        return _mm256_fmadd_ps(a, b, sum);
    }

    static float sum(__m256 a) {
        const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }

    // Each half of a register has a sum of its own.
    struct Squares {
        __m256d low = _mm256_setzero_pd();
        __m256d high = _mm256_setzero_pd();

        // Two loads are cheaper than taking a register apart.
        void add(const float *a) { add(_mm_loadu_ps(a), _mm_loadu_ps(a + width / 2)); }
        void add(const Half *a) { add(load(a)); }
        template <typename Scalar>
        void add_first(const Scalar *a, size_t count) {
            add(load_first(a, count));
        }
        void operator+=(const Squares &other) {
            low = _mm256_add_pd(low, other.low);
            high = _mm256_add_pd(high, other.high);
        }
        double total() const {
            const __m256d four = _mm256_add_pd(low, high);
            const __m128d two =
                _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
            return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
        }

      private:
        void add(__m256 a) { add(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1)); }
        void add(__m128 first, __m128 second) {
            low = plus_square(low, first);
            high = plus_square(high, second);
        }
        static __m256d plus_square(__m256d sum, __m128 a) {
            const __m256d wide = _mm256_cvtps_pd(a);
            return _mm256_fmadd_pd(wide, wide, sum);
        }
    };

  protected:
    static __m256 numbers(__m128i bytes) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)); }
};

// How many bits of each byte are set: a table of the counts of four bits, looked up for both halves
// of every byte at once (Muła, Kurz, Lemire: Faster Population Counts Using AVX2 Instructions,
// 2018).
__m256i ones_by_byte(__m256i a) {
    const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                            0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i low_bits = _mm256_set1_epi8(0x0f);
    const __m256i low = _mm256_and_si256(a, low_bits);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(a, 4), low_bits);
    return _mm256_add_epi8(_mm256_shuffle_epi8(counts, low), _mm256_shuffle_epi8(counts, high));
}

struct Bits {
    using Register = __m256i;
    using Sums = __m256i;  // in four lanes of 64 bits
    static constexpr size_t bytes = sizeof(__m256i);

    static __m256i load(const unsigned char *a) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(a));
    }
    static __m256i load_first(const unsigned char *a, size_t count) {
        unsigned char first[bytes] = {};
        __builtin_memcpy(first, a, count);
        return load(first);
    }
    static __m256i differing(__m256i a, __m256i b) { return _mm256_xor_si256(a, b); }
    static __m256i both(__m256i a, __m256i b) { return _mm256_and_si256(a, b); }
    static __m256i either(__m256i a, __m256i b) { return _mm256_or_si256(a, b); }
    static __m256i no_ones() { return _mm256_setzero_si256(); }
    static __m256i add_ones(__m256i sums, __m256i a) {
        return _mm256_add_epi64(sums, _mm256_sad_epu8(ones_by_byte(a), _mm256_setzero_si256()));
    }
    static uint64_t total(__m256i sums) {
        const __m128i two =
            _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
        return static_cast<uint64_t>(_mm_cvtsi128_si64(two)) +
               static_cast<uint64_t>(_mm_extract_epi64(two, 1));
    }
};

// AVX2 compares 64-bit numbers only as signed ones. With the highest bit of both inverted, the
// signed order is the order of the unsigned numbers.
struct Keys {
    using Register = __m256i;
    static constexpr unsigned count = 4;

    static __m256i load(const uint64_t *keys) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(keys));
    }
    static __m256i all(uint64_t key) { return _mm256_set1_epi64x(static_cast<int64_t>(key)); }
    static __m256i minus(__m256i a, __m256i b) { return _mm256_sub_epi64(a, b); }
    static __m256i both(__m256i a, __m256i b) { return _mm256_and_si256(a, b); }
    static unsigned at_most(__m256i a, __m256i b) {
        const __m256i highest = all(uint64_t{1} << 63);
        return ~bits(
                   _mm256_cmpgt_epi64(_mm256_xor_si256(a, highest), _mm256_xor_si256(b, highest))) &
               0xf;
    }
    static unsigned equal(__m256i a, __m256i b) { return bits(_mm256_cmpeq_epi64(a, b)); }

  private:
    static unsigned bits(__m256i comparison) {
        return static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(comparison)));
    }
};

struct Bytes {
    using Register = __m256i;
    // Of the bytes with even numbers, and with odd ones.
    struct Sums {
        __m256i even, odd;
    };
    static constexpr size_t rows = 1;

    static __m256i load(const unsigned char *a) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(a));
    }
    static __m256i lower(__m256i a) { return _mm256_and_si256(a, _mm256_set1_epi8(0xF)); }
    static __m256i upper(__m256i a) { return lower(_mm256_srli_epi16(a, 4)); }
    static __m256i look_up(__m256i tables, __m256i indexes) {
        return _mm256_shuffle_epi8(tables, indexes);
    }
    static __m256i plus(__m256i a, __m256i b) { return _mm256_add_epi8(a, b); }
    static Sums no_sums() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
    static Sums add(Sums sums, __m256i a) {
        return {_mm256_add_epi16(sums.even, _mm256_and_si256(a, _mm256_set1_epi16(0xFF))),
                _mm256_add_epi16(sums.odd, _mm256_srli_epi16(a, 8))};
    }
    static void store(Sums sums, uint16_t *to) {
        const __m256i first = _mm256_unpacklo_epi16(sums.even, sums.odd);
        const __m256i second = _mm256_unpackhi_epi16(sums.even, sums.odd);
        auto *out = reinterpret_cast<__m256i *>(to);
        _mm256_storeu_si256(out, _mm256_permute2x128_si256(first, second, 0x20));
        _mm256_storeu_si256(out + 1, _mm256_permute2x128_si256(first, second, 0x31));
    }
};

struct Steps {
    using Register = __m256i;
    using Sums = __m256i;
    static constexpr size_t count = 32;

    static __m256i bytes(const unsigned char *a) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(a));
    }
    static __m256i nibbles(const unsigned char *a, size_t i) {
        const __m256i both = bytes(a);
        return _mm256_and_si256(i == 0 ? both : _mm256_srli_epi16(both, 4), _mm256_set1_epi8(0xF));
    }
    // Each byte of the four is brought to eight places, and each place keeps the bit that is its
    // own.
    static __m256i bits(const unsigned char *a) {
        int word;
        __builtin_memcpy(&word, a, sizeof(word));
        const __m256i places =
            _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
        const __m256i own = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
        const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(word), places);
        const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, own), own);
        return _mm256_and_si256(set, _mm256_set1_epi8(1));
    }
    static __m256i no_sums() { return _mm256_setzero_si256(); }
    static __m256i add(__m256i sums, __m256i a, __m256i b) {
        const __m256i low = _mm256_madd_epi16(words(a, 0), words(b, 0));
        const __m256i high = _mm256_madd_epi16(words(a, 1), words(b, 1));
        return _mm256_add_epi32(sums, _mm256_add_epi32(low, high));
    }
    static __m256i add_small(__m256i sums, __m256i a, __m256i b) {
        const __m256i pairs = _mm256_maddubs_epi16(a, b);
        return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    static uint32_t total(__m256i sums) {
        const __m128i four =
            _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
        const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
        return static_cast<uint32_t>(_mm_cvtsi128_si32(two)) +
               static_cast<uint32_t>(_mm_extract_epi32(two, 1));
    }

  private:
    // The bytes with even numbers, or with odd ones: products need the same ones of both, and no
    // order.
    static __m256i words(__m256i a, int odd) {
        return odd != 0 ? _mm256_srli_epi16(a, 8) : _mm256_and_si256(a, _mm256_set1_epi16(0xFF));
    }
};

struct StepNumbers : Floats {
    static __m256 nibbles(const unsigned char *a, bool upper) {
        const __m128i both = _mm_loadl_epi64(reinterpret_cast<const __m128i *>(a));
        return numbers(_mm_and_si128(upper ? _mm_srli_epi16(both, 4) : both, _mm_set1_epi8(0xF)));
    }
    static __m256 bits(const unsigned char *a, size_t) {
        const __m256i own = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        const __m256i set = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(*a), own), own);
        return _mm256_and_ps(_mm256_castsi256_ps(set), all(1));
    }
    static float sum_by_halves(__m256 a) { return sum(a); }
};

constexpr Kernel rows[] = {
    coded_row<SquaredDifference<Floats>>("float32 l2_squared avx2"),
    coded_row<Product<Floats>>("float32 inner_product avx2"),
    float_row<AbsoluteDifference<Floats>>("float32 l1 avx2"),
    half_row<SquaredDifference<Floats>>("float16 l2_squared avx2"),
    half_row<Product<Floats>>("float16 inner_product avx2"),
    half_row<AbsoluteDifference<Floats>>("float16 l1 avx2"),
    cosine_row_of<Floats>("float32 cosine avx2"),
    half_cosine_row_of<Floats>("float16 cosine avx2"),
    hamming_row<Bits>("bit hamming avx2"),
    jaccard_row<Bits>("bit jaccard avx2"),
    compact_row<Steps, CompactL2Squared, 8>("compact8 l2_squared avx2"),
    compact_row<Steps, CompactProduct, 8>("compact8 inner_product avx2"),
    compact_row<Steps, CompactCosine, 8>("compact8 cosine avx2"),
    compact_l1_row_of<StepNumbers, 8>("compact8 l1 avx2"),
    compact_row<Steps, CompactL2Squared, 4>("compact4 l2_squared avx2"),
    compact_row<Steps, CompactProduct, 4>("compact4 inner_product avx2"),
    compact_row<Steps, CompactCosine, 4>("compact4 cosine avx2"),
    compact_l1_row_of<StepNumbers, 4>("compact4 l1 avx2"),
    compact_row<Steps, CompactL2Squared, 1>("compact1 l2_squared avx2"),
    compact_row<Steps, CompactProduct, 1>("compact1 inner_product avx2"),
    compact_row<Steps, CompactCosine, 1>("compact1 cosine avx2"),
    compact_l1_row_of<StepNumbers, 1>("compact1 l1 avx2"),
};

}  // namespace

const KernelTable avx2_table = {
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
    .float32 = dense_kernels<Floats, float>,
    .float16 = dense_kernels<Floats, Half>,
    .bits = bit_kernels<Bits>,
    .keys = key_kernels_of<Keys>,
    .link_codes = link_code_kernels_of<Bytes>,
};

}  // namespace dvec::distance

#else

namespace dvec::distance {
const KernelTable avx2_table = {};
}

#endif
