// Kernels for x86-64 with AVX2 and FMA: eight floats to a register.
//
// Compiled with flags that only this file gets; kernel_table.hpp says what follows from that.
#include "engine/distance/kernel_table.hpp"

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

// The first `count` floats at `a` and zeros, for count below the width. Memory behind them is not
// touched, so a vector may end at the edge of a mapping; zeros leave a sum alone.
__m256 load_first(const float *a, size_t count) {
    static constexpr int window[2 * width] = {-1, -1, -1, -1, -1, -1, -1, -1};
    const __m256i mask =
        _mm256_loadu_si256(reinterpret_cast<const __m256i *>(window + width - count));
    return _mm256_maskload_ps(a, mask);
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

    void add_block(const float *a, const float *b) {
        sum0 = Term::add(sum0, load(a), load(b));
        sum1 = Term::add(sum1, load(a + width), load(b + width));
        sum2 = Term::add(sum2, load(a + 2 * width), load(b + 2 * width));
        sum3 = Term::add(sum3, load(a + 3 * width), load(b + 3 * width));
    }

    // Adds the last `count` elements, fewer than a block.
    void add_rest(const float *a, const float *b, size_t count) {
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

template <typename Term>
float distance(const void *a_bytes, const void *b_bytes, size_t dimensions) {
    const float *a = static_cast<const float *>(a_bytes);
    const float *b = static_cast<const float *>(b_bytes);
    const size_t rest = dimensions % block;
    const float *const blocks_end = a + (dimensions - rest);
    Sums<Term> sums;
    for (; a != blocks_end; a += block, b += block) {
        sums.add_block(a, b);
    }
    if (rest != 0) {
        sums.add_rest(a, b, rest);
    }
    return sums.distance();
}

// Two vectors at a time: their eight sums and the query's four registers are what fits in sixteen
// registers while each vector's sums remain those that distance would form.
template <typename Term>
void two_distances(const float *query, const void *const *vectors, size_t dimensions,
                   float *distances) {
    const float *a = static_cast<const float *>(vectors[0]);
    const float *b = static_cast<const float *>(vectors[1]);
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

template <typename Term>
void four_distances(const void *query_bytes, const void *const *vectors, size_t dimensions,
                    float *distances) {
    const float *query = static_cast<const float *>(query_bytes);
    two_distances<Term>(query, vectors, dimensions, distances);
    two_distances<Term>(query, vectors + 2, dimensions, distances + 2);
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

CosineParts cosine_parts(const float *a, const float *b, size_t dimensions) {
    CosineSums even;
    CosineSums odd;
    const float *const pairs_end = a + dimensions / (2 * width) * (2 * width);
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

double squared_norm(const float *a, size_t dimensions) {
    __m256d even = _mm256_setzero_pd();
    __m256d odd = _mm256_setzero_pd();
    const float *const pairs_end = a + dimensions / width * width;
    for (; a != pairs_end; a += width) {
        even = add_squares(even, _mm_loadu_ps(a));
        odd = add_squares(odd, _mm_loadu_ps(a + width / 2));
    }
    if (const size_t last = dimensions % width; last != 0) {
        const __m256 eight = load_first(a, last);
        even = add_squares(even, _mm256_castps256_ps128(eight));
        odd = add_squares(odd, _mm256_extractf128_ps(eight, 1));
    }
    return sum_of_lanes(_mm256_add_pd(even, odd));
}

constexpr Kernel rows[] = {
    {Element::float32, Metric::l2_squared, 32, distance<SquaredDifference>,
     four_distances<SquaredDifference>, "float32 l2_squared avx2"},
    {Element::float32, Metric::inner_product, 32, distance<Product>, four_distances<Product>,
     "float32 inner_product avx2"},
    {Element::float32, Metric::l1, 32, distance<AbsoluteDifference>,
     four_distances<AbsoluteDifference>, "float32 l1 avx2"},
};

}  // namespace

const KernelTable avx2_table = {
    rows,
    sizeof(rows) / sizeof(rows[0]),
    distance<SquaredDifference>,
    distance<Product>,
    distance<AbsoluteDifference>,
    cosine_parts,
    squared_norm,
};

}  // namespace dvec::distance

#else

namespace dvec::distance {
const KernelTable avx2_table = {};
}

#endif
