// Kernels for x86-64 with AVX-512 F, BW, DQ and VL: sixteen floats to a register.
//
// Compiled with flags that only this file gets; kernel_table.hpp says what follows from that.
#include "engine/distance/code_kernels.hpp"
#include "engine/distance/cosine_kernels.hpp"
#include "engine/distance/kernel_table.hpp"
#include "engine/distance/key_kernels.hpp"

#if defined(__x86_64__)

#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512VL__) || \
    !defined(__AVX512DQ__) || !defined(__AVX2__) || !defined(__FMA__) || !defined(__F16C__)
#error "compile with -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c"
#endif

#include <immintrin.h>

namespace dvec::distance {

namespace {

constexpr size_t width = 16;
constexpr size_t block = 4 * width;
constexpr size_t double_width = 8;

struct SquaredDifference {
    static __m512 add(__m512 sum, __m512 a, __m512 b) {
        const __m512 difference = _mm512_sub_ps(a, b);
        return _mm512_fmadd_ps(difference, difference, sum);
    }

    static float distance(float sum) { return sum; }
};

struct Product {
    static __m512 add(__m512 sum, __m512 a, __m512 b) { return _mm512_fmadd_ps(a, b, sum); }

    static float distance(float sum) { return -sum; }
};

struct AbsoluteDifference {
    static __m512 add(__m512 sum, __m512 a, __m512 b) {
        return _mm512_add_ps(sum, _mm512_abs_ps(_mm512_sub_ps(a, b)));
    }

    static float distance(float sum) { return sum; }
};

// For parts of registers and for conversions the zero-masking intrinsics are used with every lane
// kept; they compile to the same instructions as the plain ones. GCC 12's plain intrinsics, even
// the casts, read an undefined register and cause warnings about it.
__m512 widen_halves(__m256i a) { return _mm512_maskz_cvtph_ps(0xffff, a); }

__m512d widen(__m256 a) { return _mm512_maskz_cvtps_pd(0xff, a); }

__m512 load(const float *a) { return _mm512_loadu_ps(a); }

__m512 load(const Half *a) {
    return widen_halves(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(a)));
}

// The mask of the first `count` lanes, for count below the width. Lanes masked off load as zero
// without touching memory, so a vector may end at the edge of a mapping; zeros leave a sum alone.
unsigned first_lanes(size_t count) { return (1U << count) - 1; }

__m512 load_first(const float *a, size_t count) {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>(first_lanes(count)), a);
}

__m512 load_first(const Half *a, size_t count) {
    return widen_halves(_mm256_maskz_loadu_epi16(static_cast<__mmask16>(first_lanes(count)), a));
}

// Used in place of a pointer to the elements of a vector, for the vector that a code stands for
// (code_kernels.hpp).
struct Code {
    const unsigned char *steps;
    __m512 low;
    __m512 step;

    explicit Code(const void *code) : steps(code_steps(code)) {
        const CodeHeader header = code_header(code);
        low = _mm512_set1_ps(header.low);
        step = _mm512_set1_ps(header.step);
    }

    __m512 decode(__m128i bytes) const {
        const __m512i wide = _mm512_maskz_cvtepu8_epi32(0xffff, bytes);
        return _mm512_fmadd_ps(_mm512_maskz_cvtepi32_ps(0xffff, wide), step, low);
    }

    void operator+=(size_t count) { steps += count; }

    Code operator+(size_t count) const {
        Code moved = *this;
        moved += count;
        return moved;
    }
};

__m512 load(const Code &a) {
    return a.decode(_mm_loadu_si128(reinterpret_cast<const __m128i *>(a.steps)));
}

// The result is masked once more, since zero bytes decode to the least element and not to 0.
__m512 load_first(const Code &a, size_t count) {
    const __mmask16 mask = static_cast<__mmask16>(first_lanes(count));
    return _mm512_maskz_mov_ps(mask, a.decode(_mm_maskz_loadu_epi8(mask, a.steps)));
}

// The same for half a register.
__m256 load_eight(const float *a) { return _mm256_loadu_ps(a); }

__m256 load_eight(const Half *a) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(a)));
}

__m256 load_first_of_eight(const float *a, size_t count) {
    return _mm256_maskz_loadu_ps(static_cast<__mmask8>(first_lanes(count)), a);
}

__m256 load_first_of_eight(const Half *a, size_t count) {
    return _mm256_cvtph_ps(_mm_maskz_loadu_epi16(static_cast<__mmask8>(first_lanes(count)), a));
}

float sum_of_lanes(__m512 a) {
    const __m256 eight = _mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xff, a, 0),
                                       _mm512_maskz_extractf32x8_ps(0xff, a, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

double sum_of_lanes(__m512d a) {
    const __m256d four = _mm256_add_pd(_mm512_maskz_extractf64x4_pd(0xff, a, 0),
                                       _mm512_maskz_extractf64x4_pd(0xff, a, 1));
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

// The sums of one pair of vectors. Four are in flight: a fused multiply-add takes four cycles, and
// two loads a cycle feed one of them.
template <typename Term>
struct Sums {
    __m512 sum0 = _mm512_setzero_ps();
    __m512 sum1 = _mm512_setzero_ps();
    __m512 sum2 = _mm512_setzero_ps();
    __m512 sum3 = _mm512_setzero_ps();

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
        const __m512 sum01 = _mm512_add_ps(sum0, sum1);
        const __m512 sum23 = _mm512_add_ps(sum2, sum3);
        return Term::distance(sum_of_lanes(_mm512_add_ps(sum01, sum23)));
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

// Sixteen sums, the query's four registers and what decoding four codes needs all fit in the
// registers, and each vector's sums are the same that `distance` would form.
template <typename Scalar, typename Term, typename Vector = const Scalar *>
void four_distances(const void *query_bytes, const void *const *vectors, size_t dimensions,
                    float *distances) {
    const Scalar *query = static_cast<const Scalar *>(query_bytes);
    const Vector a = static_cast<Vector>(vectors[0]);
    const Vector b = static_cast<Vector>(vectors[1]);
    const Vector c = static_cast<Vector>(vectors[2]);
    const Vector d = static_cast<Vector>(vectors[3]);
    const size_t rest = dimensions % block;
    const size_t whole = dimensions - rest;
    Sums<Term> a_sums;
    Sums<Term> b_sums;
    Sums<Term> c_sums;
    Sums<Term> d_sums;
    for (size_t i = 0; i != whole; i += block) {
        a_sums.add_block(query + i, a + i);
        b_sums.add_block(query + i, b + i);
        c_sums.add_block(query + i, c + i);
        d_sums.add_block(query + i, d + i);
    }
    if (rest != 0) {
        a_sums.add_rest(query + whole, a + whole, rest);
        b_sums.add_rest(query + whole, b + whole, rest);
        c_sums.add_rest(query + whole, c + whole, rest);
        d_sums.add_rest(query + whole, d + whole, rest);
    }
    distances[0] = a_sums.distance();
    distances[1] = b_sums.distance();
    distances[2] = c_sums.distance();
    distances[3] = d_sums.distance();
}

// The three sums of a cosine, each kept in one register.
struct CosineSums {
    __m512 dot = _mm512_setzero_ps();
    __m512 norm_a = _mm512_setzero_ps();
    __m512 norm_b = _mm512_setzero_ps();

    void add(__m512 a, __m512 b) {
        dot = _mm512_fmadd_ps(a, b, dot);
        norm_a = _mm512_fmadd_ps(a, a, norm_a);
        norm_b = _mm512_fmadd_ps(b, b, norm_b);
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
    return {sum_of_lanes(_mm512_add_ps(even.dot, odd.dot)),
            sum_of_lanes(_mm512_add_ps(even.norm_a, odd.norm_a)),
            sum_of_lanes(_mm512_add_ps(even.norm_b, odd.norm_b))};
}

__m512d add_squares(__m512d sum, __m256 a) {
    const __m512d wide = widen(a);
    return _mm512_fmadd_pd(wide, wide, sum);
}

template <typename Scalar>
double squared_norm(const void *a_bytes, size_t dimensions) {
    const Scalar *a = static_cast<const Scalar *>(a_bytes);
    __m512d even = _mm512_setzero_pd();
    __m512d odd = _mm512_setzero_pd();
    const Scalar *const pairs_end = a + dimensions / (2 * double_width) * (2 * double_width);
    for (; a != pairs_end; a += 2 * double_width) {
        even = add_squares(even, load_eight(a));
        odd = add_squares(odd, load_eight(a + double_width));
    }
    if (dimensions & double_width) {
        even = add_squares(even, load_eight(a));
        a += double_width;
    }
    if (const size_t last = dimensions % double_width; last != 0) {
        odd = add_squares(odd, load_first_of_eight(a, last));
    }
    return sum_of_lanes(_mm512_add_pd(even, odd));
}

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

constexpr Kernel rows[] = {
    {Element::float32, Metric::l2_squared, distance<float, SquaredDifference>,
     four_distances<float, SquaredDifference>, "float32 l2_squared avx512",
     distance<float, SquaredDifference, Code>, four_distances<float, SquaredDifference, Code>},
    {Element::float32, Metric::inner_product, distance<float, Product>,
     four_distances<float, Product>, "float32 inner_product avx512", distance<float, Product, Code>,
     four_distances<float, Product, Code>},
    {Element::float32, Metric::l1, distance<float, AbsoluteDifference>,
     four_distances<float, AbsoluteDifference>, "float32 l1 avx512"},
    {Element::float16, Metric::l2_squared, distance<Half, SquaredDifference>,
     four_distances<Half, SquaredDifference>, "float16 l2_squared avx512"},
    {Element::float16, Metric::inner_product, distance<Half, Product>,
     four_distances<Half, Product>, "float16 inner_product avx512"},
    {Element::float16, Metric::l1, distance<Half, AbsoluteDifference>,
     four_distances<Half, AbsoluteDifference>, "float16 l1 avx512"},
    cosine_row<cosine_parts<float>>(
        "float32 cosine avx512", {distance<float, Product>, four_distances<float, Product>},
        {distance<float, Product, Code>, four_distances<float, Product, Code>}),
    half_cosine_row<cosine_parts<Half>>("float16 cosine avx512",
                                        {distance<Half, Product>, four_distances<Half, Product>}),
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

const KernelTable avx512_table = {
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
    .float32 = dense_kernels<float>,
    .float16 = dense_kernels<Half>,
    .keys = key_kernels_of<Keys>,
};

}  // namespace dvec::distance

#else

namespace dvec::distance {
const KernelTable avx512_table = {};
}

#endif
