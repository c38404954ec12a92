// Kernels for x86-64 with AVX2, FMA and F16C: eight floats to a register.
//
// Compiled with flags that only this file gets; kernel_table.hpp says what follows from that.
#include "engine/distance/bit_kernels.hpp"
#include "engine/distance/code_kernels.hpp"
#include "engine/distance/cosine_kernels.hpp"
#include "engine/distance/kernel_table.hpp"
#include "engine/distance/key_kernels.hpp"

#if defined(__x86_64__)

#if !defined(__AVX2__) || !defined(__FMA__) || !defined(__F16C__)
#error "compile with -mavx2 -mfma -mf16c"
#endif

#include <immintrin.h>

namespace dvec::distance {

namespace {

constexpr size_t width = 8;
constexpr size_t block = 4 * width;

__m256 absolute(__m256 a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), a); }

struct SquaredDifference {
    static __m256 add(__m256 sum, __m256 a, __m256 b) {
        const __m256 difference = _mm256_sub_ps(a, b);
        return _mm256_fmadd_ps(difference, difference, sum);
    }

    static float distance(float sum) { return sum; }
};

struct Product {
    static __m256 add(__m256 sum, __m256 a, __m256 b) { return _mm256_fmadd_ps(a, b, sum); }

    static float distance(float sum) { return -sum; }
};

struct AbsoluteDifference {
    static __m256 add(__m256 sum, __m256 a, __m256 b) {
        return _mm256_add_ps(sum, absolute(_mm256_sub_ps(a, b)));
    }

    static float distance(float sum) { return sum; }
};

__m256 load(const float *a) { return _mm256_loadu_ps(a); }

__m256 load(const Half *a) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(a)));
}

// The mask of the first `count` lanes.
__m256i first_lanes(size_t count) {
    static constexpr int window[2 * width] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(window + width - count));
}

// The first `count` elements at `a` and zeros, for count from 1 to below the width. Memory behind
// them is not touched, so a vector may end at the edge of a mapping; zeros leave a sum alone.
__m256 load_first(const float *a, size_t count) {
    return _mm256_maskload_ps(a, first_lanes(count));
}

// The smallest unit that a mask can select is a word of 32 bits, which is two halves. So an odd
// half is loaded by itself.
__m256 load_first(const Half *a, size_t count) {
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

// Used in place of a pointer to the elements of a vector, for the vector that a code stands for
// (code_kernels.hpp).
struct Code {
    const unsigned char *steps;
    __m256 low;
    __m256 step;

    explicit Code(const void *code) : steps(code_steps(code)) {
        const CodeHeader header = code_header(code);
        low = _mm256_set1_ps(header.low);
        step = _mm256_set1_ps(header.step);
    }

    __m256 decode(__m128i bytes) const {
        return _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)), step, low);
    }

    void operator+=(size_t count) { steps += count; }

    Code operator+(size_t count) const {
        Code moved = *this;
        moved += count;
        return moved;
    }
};

__m256 load(const Code &a) {
    return a.decode(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(a.steps)));
}

// The result is masked, since zero bytes decode to the least element and not to 0.
__m256 load_first(const Code &a, size_t count) {
    const __m128i bytes = _mm_cvtsi64_si128(static_cast<int64_t>(last_steps(a.steps, count)));
    return _mm256_and_ps(a.decode(bytes), _mm256_castsi256_ps(first_lanes(count)));
}

float sum_of_lanes(__m256 a) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

double sum_of_lanes(__m256d a) {
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

// The sums of one pair of vectors. Four are in flight: a fused multiply-add takes four cycles, and
// two loads a cycle feed one of them.
template <typename Term>
struct Sums {
    __m256 sum0 = _mm256_setzero_ps();
    __m256 sum1 = _mm256_setzero_ps();
    __m256 sum2 = _mm256_setzero_ps();
    __m256 sum3 = _mm256_setzero_ps();

    template <typename Scalar, typename Vector>
    void add_block(const Scalar *a, const Vector &b) {
        sum0 = Term::add(sum0, load(a), load(b));
        sum1 = Term::add(sum1, load(a + width), load(b + width));
        sum2 = Term::add(sum2, load(a + 2 * width), load(b + 2 * width));
        sum3 = Term::add(sum3, load(a + 3 * width), load(b + 3 * width));
    }

    // Adds the last `count` elements, fewer than a block.
    template <typename Scalar, typename Vector>
    void add_rest(const Scalar *a, Vector b, size_t count) {
        if (count & (2 * width)) {
            sum0 = Term::add(sum0, load(a), load(b));
            sum1 = Term::add(sum1, load(a + width), load(b + width));
            a += 2 * width;
            b += 2 * width;
        }
        if (count & width) {
            sum2 = Term::add(sum2, load(a), load(b));
            a += width;
            b += width;
        }
        if (const size_t last = count % width; last != 0) {
            sum3 = Term::add(sum3, load_first(a, last), load_first(b, last));
        }
    }

    float distance() const {
        const __m256 sum01 = _mm256_add_ps(sum0, sum1);
        const __m256 sum23 = _mm256_add_ps(sum2, sum3);
        return Term::distance(sum_of_lanes(_mm256_add_ps(sum01, sum23)));
    }
};

template <typename Scalar, typename Term, typename Vector = const Scalar *>
float distance(const void *a_bytes, const void *b_bytes, size_t dimensions) {
    const Scalar *a = static_cast<const Scalar *>(a_bytes);
    auto b = static_cast<Vector>(b_bytes);
    const size_t rest = dimensions % block;
    const Scalar *const blocks_end = a + (dimensions - rest);
    Sums<Term> sums;
    for (; a != blocks_end; a += block, b += block) {
        sums.add_block(a, b);
    }
    if (rest != 0) {
        sums.add_rest(a, b, rest);
    }
    return sums.distance();
}

// Two vectors at a time: their eight sums and the query's four registers fit in sixteen registers,
// and each vector's sums are the same that `distance` would form.
template <typename Scalar, typename Term, typename Vector>
void two_distances(const Scalar *query, const void *const *vectors, size_t dimensions,
                   float *distances) {
    const Vector a = static_cast<Vector>(vectors[0]);
    const Vector b = static_cast<Vector>(vectors[1]);
    const size_t rest = dimensions % block;
    const size_t whole = dimensions - rest;
    Sums<Term> a_sums;
    Sums<Term> b_sums;
    for (size_t i = 0; i != whole; i += block) {
        a_sums.add_block(query + i, a + i);
        b_sums.add_block(query + i, b + i);
    }
    if (rest != 0) {
        a_sums.add_rest(query + whole, a + whole, rest);
        b_sums.add_rest(query + whole, b + whole, rest);
    }
    distances[0] = a_sums.distance();
    distances[1] = b_sums.distance();
}

template <typename Scalar, typename Term, typename Vector = const Scalar *>
void four_distances(const void *query_bytes, const void *const *vectors, size_t dimensions,
                    float *distances) {
    const Scalar *query = static_cast<const Scalar *>(query_bytes);
    two_distances<Scalar, Term, Vector>(query, vectors, dimensions, distances);
    two_distances<Scalar, Term, Vector>(query, vectors + 2, dimensions, distances + 2);
}

// The three sums of a cosine, each kept in one register.
struct CosineSums {
    __m256 dot = _mm256_setzero_ps();
    __m256 norm_a = _mm256_setzero_ps();
    __m256 norm_b = _mm256_setzero_ps();

    void add(__m256 a, __m256 b) {
        dot = _mm256_fmadd_ps(a, b, dot);
        norm_a = _mm256_fmadd_ps(a, a, norm_a);
        norm_b = _mm256_fmadd_ps(b, b, norm_b);
    }
};

template <typename Scalar>
CosineParts cosine_parts(const void *a_bytes, const void *b_bytes, size_t dimensions) {
    const Scalar *a = static_cast<const Scalar *>(a_bytes);
    const Scalar *b = static_cast<const Scalar *>(b_bytes);
    CosineSums even;
    CosineSums odd;
    const Scalar *const pairs_end = a + dimensions / (2 * width) * (2 * width);
    for (; a != pairs_end; a += 2 * width, b += 2 * width) {
        even.add(load(a), load(b));
        odd.add(load(a + width), load(b + width));
    }
    if (dimensions & width) {
        even.add(load(a), load(b));
        a += width;
        b += width;
    }
    if (const size_t last = dimensions % width; last != 0) {
        odd.add(load_first(a, last), load_first(b, last));
    }
    return {sum_of_lanes(_mm256_add_ps(even.dot, odd.dot)),
            sum_of_lanes(_mm256_add_ps(even.norm_a, odd.norm_a)),
            sum_of_lanes(_mm256_add_ps(even.norm_b, odd.norm_b))};
}

__m256d add_squares(__m256d sum, __m128 a) {
    const __m256d wide = _mm256_cvtps_pd(a);
    return _mm256_fmadd_pd(wide, wide, sum);
}

template <typename Scalar>
double squared_norm(const void *a_bytes, size_t dimensions) {
    const Scalar *a = static_cast<const Scalar *>(a_bytes);
    __m256d even = _mm256_setzero_pd();
    __m256d odd = _mm256_setzero_pd();
    const Scalar *const eights_end = a + dimensions / width * width;
    for (; a != eights_end; a += width) {
        const __m256 eight = load(a);
        even = add_squares(even, _mm256_castps256_ps128(eight));
        odd = add_squares(odd, _mm256_extractf128_ps(eight, 1));
    }
    if (const size_t last = dimensions % width; last != 0) {
        const __m256 eight = load_first(a, last);
        even = add_squares(even, _mm256_castps256_ps128(eight));
        odd = add_squares(odd, _mm256_extractf128_ps(eight, 1));
    }
    return sum_of_lanes(_mm256_add_pd(even, odd));
}

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

constexpr Kernel rows[] = {
    {Element::float32, Metric::l2_squared, distance<float, SquaredDifference>,
     four_distances<float, SquaredDifference>, "float32 l2_squared avx2",
     distance<float, SquaredDifference, Code>, four_distances<float, SquaredDifference, Code>},
    {Element::float32, Metric::inner_product, distance<float, Product>,
     four_distances<float, Product>, "float32 inner_product avx2", distance<float, Product, Code>,
     four_distances<float, Product, Code>},
    {Element::float32, Metric::l1, distance<float, AbsoluteDifference>,
     four_distances<float, AbsoluteDifference>, "float32 l1 avx2"},
    {Element::float16, Metric::l2_squared, distance<Half, SquaredDifference>,
     four_distances<Half, SquaredDifference>, "float16 l2_squared avx2"},
    {Element::float16, Metric::inner_product, distance<Half, Product>,
     four_distances<Half, Product>, "float16 inner_product avx2"},
    {Element::float16, Metric::l1, distance<Half, AbsoluteDifference>,
     four_distances<Half, AbsoluteDifference>, "float16 l1 avx2"},
    cosine_row<cosine_parts<float>>(
        "float32 cosine avx2", {distance<float, Product>, four_distances<float, Product>},
        {distance<float, Product, Code>, four_distances<float, Product, Code>}),
    half_cosine_row<cosine_parts<Half>>("float16 cosine avx2",
                                        {distance<Half, Product>, four_distances<Half, Product>}),
    hamming_row<Bits>("bit hamming avx2"),
    jaccard_row<Bits>("bit jaccard avx2"),
};

template <typename Scalar>
constexpr DenseKernels dense_kernels = {
    distance<Scalar, SquaredDifference>,
    distance<Scalar, Product>,
    distance<Scalar, AbsoluteDifference>,
    cosine_parts<Scalar>,
    squared_norm<Scalar>,
};

}  // namespace

const KernelTable avx2_table = {
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
    .float32 = dense_kernels<float>,
    .float16 = dense_kernels<Half>,
    .bits = bit_kernels<Bits>,
    .keys = key_kernels_of<Keys>,
};

}  // namespace dvec::distance

#else

namespace dvec::distance {
const KernelTable avx2_table = {};
}

#endif
