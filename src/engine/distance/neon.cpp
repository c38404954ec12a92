// Kernels for 64-bit ARM, whose base architecture includes NEON: four floats to a register.
//
// An instruction set's file all the same, and bound by the rules in kernel_table.hpp.
#include "engine/distance/bit_kernels.hpp"
#include "engine/distance/compact_kernels.hpp"
#include "engine/distance/compact_l1_kernels.hpp"
#include "engine/distance/dense_kernels.hpp"
#include "engine/distance/kernel_table.hpp"
#include "engine/distance/key_kernels.hpp"
#include "engine/distance/link_code_kernels.hpp"

#if defined(__aarch64__)

#include <arm_neon.h>

namespace dvec::distance {

namespace {

struct Floats {
    using Register = float32x4_t;
    static constexpr size_t width = 4;
    static constexpr size_t at_once = 4;

    static float32x4_t zero() { return vdupq_n_f32(0); }
    static float32x4_t all(float number) { return vdupq_n_f32(number); }

    static float32x4_t load(const float *a) { return vld1q_f32(a); }
    static float32x4_t load(const Half *a) { return widen(vld1_u16(&a->bits)); }
    static float32x4_t load_first(const float *a, size_t count) {
        float32x4_t first = zero();
        if (count >= 2) {
            first = vcombine_f32(vld1_f32(a), vdup_n_f32(0));
            return count == 3 ? vld1q_lane_f32(a + 2, first, 2) : first;
        }
        return vld1q_lane_f32(a, first, 0);
    }
    static float32x4_t load_first(const Half *a, size_t count) {
        uint16x4_t first = vld1_lane_u16(&a[0].bits, vdup_n_u16(0), 0);
        if (count >= 2) {
            first = vld1_lane_u16(&a[1].bits, first, 1);
        }
        if (count >= 3) {
            first = vld1_lane_u16(&a[2].bits, first, 2);
        }
        return widen(first);
    }

    static float32x4_t numbers(const unsigned char *bytes) {
        uint32_t four;
        __builtin_memcpy(&four, bytes, sizeof(four));
        return numbers(four);
    }
    // Sixteen bytes are one load, and the compiler makes it once for all four registers.
    static float32x4_t numbers_of_block(const unsigned char *bytes, size_t i) {
        const uint8x16_t block = vld1q_u8(bytes);
        const uint16x8_t eight = vmovl_u8(i < 2 ? vget_low_u8(block) : vget_high_u8(block));
        return numbers(i % 2 == 0 ? vget_low_u16(eight) : vget_high_u16(eight));
    }
    static float32x4_t first_numbers(const unsigned char *bytes, size_t count) {
        return numbers(static_cast<uint32_t>(last_steps(bytes, count)));
    }
    static float32x4_t first(float32x4_t a, size_t count) {
        static constexpr uint32_t window[2 * width] = {~0U, ~0U, ~0U, ~0U};
        const uint32x4_t mask = vld1q_u32(window + width - count);
        return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), mask));
    }

    static float32x4_t plus(float32x4_t a, float32x4_t b) { return vaddq_f32(a, b); }
    static float32x4_t minus(float32x4_t a, float32x4_t b) { return vsubq_f32(a, b); }
    static float32x4_t absolute_difference(float32x4_t a, float32x4_t b) { return vabdq_f32(a, b); }
    static float32x4_t plus_product(float32x4_t sum, float32x4_t a, float32x4_t b) {
        return vfmaq_f32(sum, a, b);
    }

    static float sum(float32x4_t a) { return vaddvq_f32(a); }

    // Each half of a register has a sum of its own.
    struct Squares {
        float64x2_t low = vdupq_n_f64(0);
        float64x2_t high = vdupq_n_f64(0);

        template <typename Scalar>
        void add(const Scalar *a) {
            add(load(a));
        }
        template <typename Scalar>
        void add_first(const Scalar *a, size_t count) {
            add(load_first(a, count));
        }
        void operator+=(const Squares &other) {
            low = vaddq_f64(low, other.low);
            high = vaddq_f64(high, other.high);
        }
        double total() const { return vaddvq_f64(vaddq_f64(low, high)); }

      private:
        void add(float32x4_t a) {
            low = plus_square(low, vget_low_f32(a));
            high = plus_square(high, vget_high_f32(a));
        }
        static float64x2_t plus_square(float64x2_t sum, float32x2_t a) {
            const float64x2_t wide = vcvt_f64_f32(a);
            return vfmaq_f64(sum, wide, wide);
        }
    };

  protected:
    static float32x4_t widen(uint16x4_t halves) {
        return vcvt_f32_f16(vreinterpret_f16_u16(halves));
    }
    static float32x4_t numbers(uint16x4_t a) { return vcvtq_f32_u32(vmovl_u16(a)); }
    // Four bytes, the first of them lowest.
    static float32x4_t numbers(uint32_t bytes) {
        return numbers(vget_low_u16(vmovl_u8(vcreate_u8(bytes))));
    }
};

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

struct Bytes {
    // Half of the codes each.
    struct Register {
        uint8x16_t first, second;
    };
    struct Sums {
        uint16x8_t parts[4];
    };
    static constexpr size_t rows = 1;

    static Register load(const unsigned char *a) { return {vld1q_u8(a), vld1q_u8(a + 16)}; }
    static Register lower(Register a) {
        const uint8x16_t mask = vdupq_n_u8(0xF);
        return {vandq_u8(a.first, mask), vandq_u8(a.second, mask)};
    }
    static Register upper(Register a) { return {vshrq_n_u8(a.first, 4), vshrq_n_u8(a.second, 4)}; }
    static Register look_up(Register tables, Register indexes) {
        return {vqtbl1q_u8(tables.first, indexes.first), vqtbl1q_u8(tables.second, indexes.second)};
    }
    static Register plus(Register a, Register b) {
        return {vaddq_u8(a.first, b.first), vaddq_u8(a.second, b.second)};
    }
    static Sums no_sums() {
        const uint16x8_t zero = vdupq_n_u16(0);
        return {{zero, zero, zero, zero}};
    }
    static Sums add(Sums sums, Register a) {
        return {{vaddw_u8(sums.parts[0], vget_low_u8(a.first)),
                 vaddw_high_u8(sums.parts[1], a.first),
                 vaddw_u8(sums.parts[2], vget_low_u8(a.second)),
                 vaddw_high_u8(sums.parts[3], a.second)}};
    }
    static void store(Sums sums, uint16_t *to) {
        for (size_t i = 0; i < 4; ++i) {
            vst1q_u16(to + 8 * i, sums.parts[i]);
        }
    }
};

struct Steps {
    using Register = uint8x16_t;
    using Sums = uint32x4_t;
    static constexpr size_t count = 16;

    static uint8x16_t bytes(const unsigned char *a) { return vld1q_u8(a); }
    static uint8x16_t nibbles(const unsigned char *a, size_t i) {
        const uint8x16_t both = vld1q_u8(a + i % 32);
        return i < 32 ? vandq_u8(both, vdupq_n_u8(0xF)) : vshrq_n_u8(both, 4);
    }
    static uint8x16_t bits(const unsigned char *a) {
        static constexpr unsigned char own[16] = {1, 2, 4, 8, 16, 32, 64, 128,
                                                  1, 2, 4, 8, 16, 32, 64, 128};
        const uint8x16_t spread = vcombine_u8(vdup_n_u8(a[0]), vdup_n_u8(a[1]));
        return vandq_u8(vtstq_u8(spread, vld1q_u8(own)), vdupq_n_u8(1));
    }
    static uint32x4_t no_sums() { return vdupq_n_u32(0); }
    static uint32x4_t add(uint32x4_t sums, uint8x16_t a, uint8x16_t b) {
        sums = vpadalq_u16(sums, vmull_u8(vget_low_u8(a), vget_low_u8(b)));
        return vpadalq_u16(sums, vmull_u8(vget_high_u8(a), vget_high_u8(b)));
    }
    static uint32x4_t add_small(uint32x4_t sums, uint8x16_t a, uint8x16_t b) {
        return add(sums, a, b);
    }
    static uint32_t total(uint32x4_t sums) { return vaddvq_u32(sums); }
};

struct StepNumbers : Floats {
    static float32x4_t nibbles(const unsigned char *a, bool upper) {
        uint32_t both;
        __builtin_memcpy(&both, a, sizeof(both));
        return numbers((upper ? both >> 4 : both) & 0x0F0F0F0FU);
    }
    static float32x4_t bits(const unsigned char *a, size_t i) {
        static constexpr uint32_t own[width] = {1, 2, 4, 8};
        const uint32x4_t set = vtstq_u32(vdupq_n_u32(uint32_t{*a} >> i), vld1q_u32(own));
        return vreinterpretq_f32_u32(vandq_u32(set, vreinterpretq_u32_f32(all(1))));
    }
    static float sum_by_halves(float32x4_t a) {
        const float32x2_t two = vadd_f32(vget_low_f32(a), vget_high_f32(a));
        return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
    }
};

constexpr Kernel rows[] = {
    coded_row<SquaredDifference<Floats>>("float32 l2_squared neon"),
    coded_row<Product<Floats>>("float32 inner_product neon"),
    float_row<AbsoluteDifference<Floats>>("float32 l1 neon"),
    half_row<SquaredDifference<Floats>>("float16 l2_squared neon"),
    half_row<Product<Floats>>("float16 inner_product neon"),
    half_row<AbsoluteDifference<Floats>>("float16 l1 neon"),
    cosine_row_of<Floats>("float32 cosine neon"),
    half_cosine_row_of<Floats>("float16 cosine neon"),
    hamming_row<Bits>("bit hamming neon"),
    jaccard_row<Bits>("bit jaccard neon"),
    compact_row<Steps, CompactL2Squared, 8>("compact8 l2_squared neon"),
    compact_row<Steps, CompactProduct, 8>("compact8 inner_product neon"),
    compact_row<Steps, CompactCosine, 8>("compact8 cosine neon"),
    compact_l1_row_of<StepNumbers, 8>("compact8 l1 neon"),
    compact_row<Steps, CompactL2Squared, 4>("compact4 l2_squared neon"),
    compact_row<Steps, CompactProduct, 4>("compact4 inner_product neon"),
    compact_row<Steps, CompactCosine, 4>("compact4 cosine neon"),
    compact_l1_row_of<StepNumbers, 4>("compact4 l1 neon"),
    compact_row<Steps, CompactL2Squared, 1>("compact1 l2_squared neon"),
    compact_row<Steps, CompactProduct, 1>("compact1 inner_product neon"),
    compact_row<Steps, CompactCosine, 1>("compact1 cosine neon"),
    compact_l1_row_of<StepNumbers, 1>("compact1 l1 neon"),
};

}  // namespace

const KernelTable neon_table = {
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
    .float32 = dense_kernels<Floats, float>,
    .float16 = dense_kernels<Floats, Half>,
    .bits = bit_kernels<Bits>,
    .keys = key_kernels_of<OneKey>,
    .link_codes = link_code_kernels_of<Bytes>,
};

}  // namespace dvec::distance

#else

namespace dvec::distance {
const KernelTable neon_table = {};
}

#endif
