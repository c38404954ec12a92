// Kernels for 64-bit ARM, whose base architecture includes NEON: four floats to a register.
//
// An instruction set's file all the same, and bound by the rules in kernel_table.hpp.
#include "engine/distance/bit_kernels.hpp"
#include "engine/distance/code_kernels.hpp"
#include "engine/distance/cosine_kernels.hpp"
#include "engine/distance/kernel_table.hpp"
#include "engine/distance/key_kernels.hpp"

#if defined(__aarch64__)

#include <arm_neon.h>

namespace dvec::distance {

namespace {

constexpr size_t width = 4;
constexpr size_t block = 4 * width;

struct SquaredDifference {
    static float32x4_t add(float32x4_t sum, float32x4_t a, float32x4_t b) {
        const float32x4_t difference = vsubq_f32(a, b);
        return vfmaq_f32(sum, difference, difference);
    }

    static float distance(float sum) { return sum; }
};

struct Product {
    static float32x4_t add(float32x4_t sum, float32x4_t a, float32x4_t b) {
        return vfmaq_f32(sum, a, b);
    }

    static float distance(float sum) { return -sum; }
};

struct AbsoluteDifference {
    static float32x4_t add(float32x4_t sum, float32x4_t a, float32x4_t b) {
        return vaddq_f32(sum, vabdq_f32(a, b));
    }

    static float distance(float sum) { return sum; }
};

float32x4_t load(const float *a) { return vld1q_f32(a); }

float32x4_t widen_halves(uint16x4_t a) { return vcvt_f32_f16(vreinterpret_f16_u16(a)); }

float32x4_t load(const Half *a) { return widen_halves(vld1_u16(&a->bits)); }

// The first `count` elements at `a` and zeros, for count from 1 to 3. Memory behind them is not
// touched, so a vector may end at the edge of a mapping; zeros leave a sum alone.
float32x4_t load_first(const float *a, size_t count) {
    float32x4_t first = vdupq_n_f32(0);
    if (count >= 2) {
        first = vcombine_f32(vld1_f32(a), vdup_n_f32(0));
        return count == 3 ? vld1q_lane_f32(a + 2, first, 2) : first;
    }
    return vld1q_lane_f32(a, first, 0);
}

float32x4_t load_first(const Half *a, size_t count) {
    uint16x4_t first = vld1_lane_u16(&a[0].bits, vdup_n_u16(0), 0);
    if (count >= 2) {
        first = vld1_lane_u16(&a[1].bits, first, 1);
    }
    if (count >= 3) {
        first = vld1_lane_u16(&a[2].bits, first, 2);
    }
    return widen_halves(first);
}

// Used in place of a pointer to the elements of a vector, for the vector that a code stands for
// (code_kernels.hpp).
struct Code {
    const unsigned char *steps;
    float32x4_t low;
    float32x4_t step;

    explicit Code(const void *code) : steps(code_steps(code)) {
        const CodeHeader header = code_header(code);
        low = vdupq_n_f32(header.low);
        step = vdupq_n_f32(header.step);
    }

    float32x4_t decode(uint16x4_t a) const {
        return vfmaq_f32(low, vcvtq_f32_u32(vmovl_u16(a)), step);
    }

    // Four bytes, the first of them lowest.
    float32x4_t decode(uint32_t bytes) const {
        return decode(vget_low_u16(vmovl_u8(vcreate_u8(bytes))));
    }

    void operator+=(size_t count) { steps += count; }

    Code operator+(size_t count) const {
        Code moved = *this;
        moved += count;
        return moved;
    }
};

float32x4_t load(const Code &a) {
    uint32_t bytes;
    __builtin_memcpy(&bytes, a.steps, sizeof(bytes));
    return a.decode(bytes);
}

// The result is masked, since zero bytes decode to the least element and not to 0.
float32x4_t load_first(const Code &a, size_t count) {
    static constexpr uint32_t window[2 * width] = {~0U, ~0U, ~0U, ~0U};
    const float32x4_t decoded = a.decode(static_cast<uint32_t>(last_steps(a.steps, count)));
    const uint32x4_t mask = vld1q_u32(window + width - count);
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(decoded), mask));
}

float sum_of_lanes(float32x4_t a) { return vaddvq_f32(a); }

// The sums of one pair of vectors. Four are in flight, which hides the latency of the fused
// multiply-add behind the loads.
template <typename Term>
struct Sums {
    float32x4_t sum0 = vdupq_n_f32(0);
    float32x4_t sum1 = vdupq_n_f32(0);
    float32x4_t sum2 = vdupq_n_f32(0);
    float32x4_t sum3 = vdupq_n_f32(0);

    template <typename Scalar, typename Vector>
    void add_block(const Scalar *a, const Vector &b) {
        sum0 = Term::add(sum0, load(a), load(b));
        sum1 = Term::add(sum1, load(a + width), load(b + width));
        sum2 = Term::add(sum2, load(a + 2 * width), load(b + 2 * width));
        sum3 = Term::add(sum3, load(a + 3 * width), load(b + 3 * width));
    }

    // Sixteen bytes are one load.
    template <typename Scalar>
    void add_block(const Scalar *a, const Code &b) {
        const uint8x16_t steps = vld1q_u8(b.steps);
        const uint16x8_t first = vmovl_u8(vget_low_u8(steps));
        const uint16x8_t second = vmovl_u8(vget_high_u8(steps));
        sum0 = Term::add(sum0, load(a), b.decode(vget_low_u16(first)));
        sum1 = Term::add(sum1, load(a + width), b.decode(vget_high_u16(first)));
        sum2 = Term::add(sum2, load(a + 2 * width), b.decode(vget_low_u16(second)));
        sum3 = Term::add(sum3, load(a + 3 * width), b.decode(vget_high_u16(second)));
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
        const float32x4_t sum01 = vaddq_f32(sum0, sum1);
        const float32x4_t sum23 = vaddq_f32(sum2, sum3);
        return Term::distance(sum_of_lanes(vaddq_f32(sum01, sum23)));
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
    float32x4_t dot = vdupq_n_f32(0);
    float32x4_t norm_a = vdupq_n_f32(0);
    float32x4_t norm_b = vdupq_n_f32(0);

    void add(float32x4_t a, float32x4_t b) {
        dot = vfmaq_f32(dot, a, b);
        norm_a = vfmaq_f32(norm_a, a, a);
        norm_b = vfmaq_f32(norm_b, b, b);
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
    return {sum_of_lanes(vaddq_f32(even.dot, odd.dot)),
            sum_of_lanes(vaddq_f32(even.norm_a, odd.norm_a)),
            sum_of_lanes(vaddq_f32(even.norm_b, odd.norm_b))};
}

float64x2_t add_squares(float64x2_t sum, float32x2_t a) {
    const float64x2_t wide = vcvt_f64_f32(a);
    return vfmaq_f64(sum, wide, wide);
}

template <typename Scalar>
double squared_norm(const void *a_bytes, size_t dimensions) {
    const Scalar *a = static_cast<const Scalar *>(a_bytes);
    float64x2_t even = vdupq_n_f64(0);
    float64x2_t odd = vdupq_n_f64(0);
    const Scalar *const fours_end = a + dimensions / width * width;
    for (; a != fours_end; a += width) {
        const float32x4_t four = load(a);
        even = add_squares(even, vget_low_f32(four));
        odd = add_squares(odd, vget_high_f32(four));
    }
    if (const size_t last = dimensions % width; last != 0) {
        const float32x4_t four = load_first(a, last);
        even = add_squares(even, vget_low_f32(four));
        odd = add_squares(odd, vget_high_f32(four));
    }
    return vaddvq_f64(vaddq_f64(even, odd));
}

struct Bits {
    using Register = uint8x16_t;
    using Sums = uint64x2_t;
    static constexpr size_t bytes = sizeof(uint8x16_t);

    static uint8x16_t load(const unsigned char *a) { return vld1q_u8(a); }
    static uint8x16_t load_first(const unsigned char *a, size_t count) {
        unsigned char first[bytes] = {};
        __builtin_memcpy(first, a, count);
        return load(first);
    }
    static uint8x16_t differing(uint8x16_t a, uint8x16_t b) { return veorq_u8(a, b); }
    static uint8x16_t both(uint8x16_t a, uint8x16_t b) { return vandq_u8(a, b); }
    static uint8x16_t either(uint8x16_t a, uint8x16_t b) { return vorrq_u8(a, b); }
    static uint64x2_t no_ones() { return vdupq_n_u64(0); }
    static uint64x2_t add_ones(uint64x2_t sums, uint8x16_t a) {
        return vpadalq_u32(sums, vpaddlq_u16(vpaddlq_u8(vcntq_u8(a))));
    }
    static uint64_t total(uint64x2_t sums) { return vaddvq_u64(sums); }
};

constexpr Kernel rows[] = {
    {Element::float32, Metric::l2_squared, distance<float, SquaredDifference>,
     four_distances<float, SquaredDifference>, "float32 l2_squared neon",
     distance<float, SquaredDifference, Code>, four_distances<float, SquaredDifference, Code>},
    {Element::float32, Metric::inner_product, distance<float, Product>,
     four_distances<float, Product>, "float32 inner_product neon", distance<float, Product, Code>,
     four_distances<float, Product, Code>},
    {Element::float32, Metric::l1, distance<float, AbsoluteDifference>,
     four_distances<float, AbsoluteDifference>, "float32 l1 neon"},
    {Element::float16, Metric::l2_squared, distance<Half, SquaredDifference>,
     four_distances<Half, SquaredDifference>, "float16 l2_squared neon"},
    {Element::float16, Metric::inner_product, distance<Half, Product>,
     four_distances<Half, Product>, "float16 inner_product neon"},
    {Element::float16, Metric::l1, distance<Half, AbsoluteDifference>,
     four_distances<Half, AbsoluteDifference>, "float16 l1 neon"},
    cosine_row<cosine_parts<float>>(
        "float32 cosine neon", {distance<float, Product>, four_distances<float, Product>},
        {distance<float, Product, Code>, four_distances<float, Product, Code>}),
    half_cosine_row<cosine_parts<Half>>("float16 cosine neon",
                                        {distance<Half, Product>, four_distances<Half, Product>}),
    hamming_row<Bits>("bit hamming neon"),
    jaccard_row<Bits>("bit jaccard neon"),
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

const KernelTable neon_table = {
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
    .float32 = dense_kernels<float>,
    .float16 = dense_kernels<Half>,
    .bits = bit_kernels<Bits>,
    .keys = key_kernels_of<OneKey>,
};

}  // namespace dvec::distance

#else

namespace dvec::distance {
const KernelTable neon_table = {};
}

#endif
