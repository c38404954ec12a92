// The reference kernels: portable C++. All other instruction sets are tested against them, and they
// run where there is no other set.
//
// Sums are kept in eight lanes rather than one, element i going to lane i mod 8. That bounds the
// rounding error as float32.hpp promises, and compilers turn it into whatever vector registers the
// base architecture has.
#include "engine/distance/bit_kernels.hpp"
#include "engine/distance/code_kernels.hpp"
#include "engine/distance/compact_kernels.hpp"
#include "engine/distance/compact_l1_kernels.hpp"
#include "engine/distance/cosine_kernels.hpp"
#include "engine/distance/kernel_table.hpp"
#include "engine/distance/key_kernels.hpp"
#include "engine/distance/link_code_kernels.hpp"

namespace dvec::distance {

namespace {

constexpr size_t lanes = 8;

struct SquaredDifference {
    static float of(float a, float b) {
        const float difference = a - b;
        return difference * difference;
    }

    static float distance(float sum) { return sum; }
};

struct Product {
    static float of(float a, float b) { return a * b; }

    static float distance(float sum) { return -sum; }
};

struct WideProduct {
    static double of(float a, float b) { return static_cast<double>(a) * static_cast<double>(b); }
};

struct AbsoluteDifference {
    static float of(float a, float b) { return __builtin_fabsf(a - b); }

    static float distance(float sum) { return sum; }
};

float number(float value) { return value; }
float number(Half value) { return widen(value); }

// Used in place of a pointer to the elements of a vector, for the vector that a code stands for
// (code_kernels.hpp).
struct Code {
    CodeHeader header;
    const unsigned char *steps;

    explicit Code(const void *code) : header(code_header(code)), steps(code_steps(code)) {}

    float operator[](size_t i) const {
        return header.low + header.step * static_cast<float>(steps[i]);
    }
};

template <typename Scalar, typename Term, typename Real = float, typename Vector = const Scalar *>
Real sum_of_terms(const void *a_bytes, const void *b_bytes, size_t dimensions) {
    const Scalar *a = static_cast<const Scalar *>(a_bytes);
    const Vector b = static_cast<Vector>(b_bytes);
    Real sums[lanes] = {};
    size_t i = 0;
    for (; i + lanes <= dimensions; i += lanes) {
        for (size_t lane = 0; lane < lanes; ++lane) {
            sums[lane] += Term::of(number(a[i + lane]), number(b[i + lane]));
        }
    }
    for (size_t lane = 0; i + lane < dimensions; ++lane) {
        sums[lane] += Term::of(number(a[i + lane]), number(b[i + lane]));
    }
    const Real even = (sums[0] + sums[4]) + (sums[2] + sums[6]);
    const Real odd = (sums[1] + sums[5]) + (sums[3] + sums[7]);
    return even + odd;
}

template <typename Scalar, typename Term, typename Vector = const Scalar *>
float distance(const void *a, const void *b, size_t dimensions) {
    return Term::distance(sum_of_terms<Scalar, Term, float, Vector>(a, b, dimensions));
}

// Three passes over vectors that the first of them brings into the cache: the reference has to be
// plain, and all three sums rounded alike.
template <typename Scalar>
CosineParts cosine_parts(const void *a, const void *b, size_t dimensions) {
    return {sum_of_terms<Scalar, Product>(a, b, dimensions),
            sum_of_terms<Scalar, Product>(a, a, dimensions),
            sum_of_terms<Scalar, Product>(b, b, dimensions)};
}

template <typename Scalar>
double squared_norm(const void *a, size_t dimensions) {
    return sum_of_terms<Scalar, WideProduct, double>(a, a, dimensions);
}

struct Bits {
    using Register = uint64_t;
    using Sums = uint64_t;
    static constexpr size_t bytes = sizeof(uint64_t);

    static uint64_t load(const unsigned char *a) { return load_first(a, bytes); }
    static uint64_t load_first(const unsigned char *a, size_t count) {
        uint64_t word = 0;
        __builtin_memcpy(&word, a, count);
        return word;
    }
    static uint64_t differing(uint64_t a, uint64_t b) { return a ^ b; }
    static uint64_t both(uint64_t a, uint64_t b) { return a & b; }
    static uint64_t either(uint64_t a, uint64_t b) { return a | b; }
    static uint64_t no_ones() { return 0; }
    static uint64_t add_ones(uint64_t sum, uint64_t a) {
        return sum + static_cast<uint64_t>(__builtin_popcountll(a));
    }
    static uint64_t total(uint64_t sum) { return sum; }
};

template <unsigned bits>
unsigned compact_step(const unsigned char *steps, size_t i) {
    if constexpr (bits == 8) {
        return steps[i];
    } else if constexpr (bits == 4) {
        const unsigned both = steps[i / 64 * 32 + i % 32];
        return i % 64 < 32 ? both % 16 : both / 16;
    } else {
        return steps[i / 8] >> i % 8 & 1U;
    }
}

// The same bits as compact_l1_kernels.hpp has, with and without fused multiply-adds.
template <unsigned a_bits, unsigned b_bits>
float compact_l1(const void *a_bytes, const void *b_bytes, size_t dimensions) {
    const CompactDifference one =
        compact_difference<a_bits, b_bits>(compact_header(a_bytes), compact_header(b_bytes));
    const unsigned char *a = static_cast<const unsigned char *>(a_bytes) + sizeof(CompactHeader);
    const unsigned char *b = static_cast<const unsigned char *>(b_bytes) + sizeof(CompactHeader);
    const auto term = [=](size_t i) {
        const float of_a = one.a_step * static_cast<float>(compact_step<a_bits>(a, i));
        const float of_b = one.b_step * static_cast<float>(compact_step<b_bits>(b, i));
        const float difference = of_a - of_b;
        return __builtin_fabsf(difference + one.apart);
    };
    float sums[compact_l1_lanes] = {};
    size_t i = 0;
    for (; i + compact_l1_lanes <= dimensions; i += compact_l1_lanes) {
        for (size_t lane = 0; lane < compact_l1_lanes; ++lane) {
            sums[lane] += term(i + lane);
        }
    }
    for (size_t lane = 0; i + lane < dimensions; ++lane) {
        sums[lane] += term(i + lane);
    }
    for (size_t half = compact_l1_lanes / 2; half != 0; half /= 2) {
        for (size_t lane = 0; lane < half; ++lane) {
            sums[lane] += sums[lane + half];
        }
    }
    return static_cast<float>(double{sums[0]} * one.unit);
}

template <unsigned bits>
constexpr Kernel compact_l1_row(const char *name) {
    return compact_row_of<bits, Metric::l1, compact_l1<bits, bits>,
                          compact_l1<bits_of_queries, bits>>(name);
}

void link_code_sums(const unsigned char *codes, const unsigned char *tables, size_t bytes,
                    uint16_t *sums) {
    const unsigned char *upper_tables = tables + codes_at_once * bytes;
    for (size_t code = 0; code < codes_at_once; ++code) {
        unsigned sum = 0;
        for (size_t row = 0; row < codes_at_once * bytes; row += codes_at_once) {
            const unsigned bits = codes[row + code];
            sum += tables[row + bits % 16];
            sum += upper_tables[row + bits / 16];
        }
        sums[code] = static_cast<uint16_t>(sum);
    }
}

struct Steps {
    // Eight steps, each in sixteen bits of its own.
    struct Register {
        uint16_t steps[lanes];
    };
    using Sums = uint32_t;
    static constexpr size_t count = lanes;

    static Register bytes(const unsigned char *a) {
        return each([=](size_t i) { return unsigned{a[i]}; });
    }
    static Register nibbles(const unsigned char *a, size_t i) {
        return i < 32 ? each([=](size_t j) { return a[i + j] % 16U; })
                      : each([=](size_t j) { return a[i - 32 + j] / 16U; });
    }
    static Register bits(const unsigned char *a) {
        return each([=](size_t i) { return *a >> i & 1U; });
    }
    static uint32_t no_sums() { return 0; }
    static uint32_t add(uint32_t sum, const Register &a, const Register &b) {
        for (size_t i = 0; i < lanes; ++i) {
            sum += uint32_t{a.steps[i]} * b.steps[i];
        }
        return sum;
    }
    static uint32_t add_small(uint32_t sum, const Register &a, const Register &b) {
        return add(sum, a, b);
    }
    static uint32_t total(uint32_t sum) { return sum; }

  private:
    template <typename Step>
    static Register each(Step step) {
        Register all;
        for (size_t i = 0; i < lanes; ++i) {
            all.steps[i] = static_cast<uint16_t>(step(i));
        }
        return all;
    }
};

constexpr Kernel rows[] = {
    {Element::float32, Metric::l2_squared, distance<float, SquaredDifference>,
     four_by_one<distance<float, SquaredDifference>>, "float32 l2_squared scalar",
     distance<float, SquaredDifference, Code>,
     four_by_one<distance<float, SquaredDifference, Code>>},
    {Element::float32, Metric::inner_product, distance<float, Product>,
     four_by_one<distance<float, Product>>, "float32 inner_product scalar",
     distance<float, Product, Code>, four_by_one<distance<float, Product, Code>>},
    {Element::float32, Metric::l1, distance<float, AbsoluteDifference>,
     four_by_one<distance<float, AbsoluteDifference>>, "float32 l1 scalar"},
    {Element::float16, Metric::l2_squared, distance<Half, SquaredDifference>,
     four_by_one<distance<Half, SquaredDifference>>, "float16 l2_squared scalar"},
    {Element::float16, Metric::inner_product, distance<Half, Product>,
     four_by_one<distance<Half, Product>>, "float16 inner_product scalar"},
    {Element::float16, Metric::l1, distance<Half, AbsoluteDifference>,
     four_by_one<distance<Half, AbsoluteDifference>>, "float16 l1 scalar"},
    cosine_row<cosine_parts<float>>(
        "float32 cosine scalar", {distance<float, Product>, four_by_one<distance<float, Product>>},
        {distance<float, Product, Code>, four_by_one<distance<float, Product, Code>>}),
    half_cosine_row<cosine_parts<Half>>(
        "float16 cosine scalar", {distance<Half, Product>, four_by_one<distance<Half, Product>>}),
    hamming_row<Bits>("bit hamming scalar"),
    jaccard_row<Bits>("bit jaccard scalar"),
    compact_row<Steps, CompactL2Squared, 8>("compact8 l2_squared scalar"),
    compact_row<Steps, CompactProduct, 8>("compact8 inner_product scalar"),
    compact_row<Steps, CompactCosine, 8>("compact8 cosine scalar"),
    compact_l1_row<8>("compact8 l1 scalar"),
    compact_row<Steps, CompactL2Squared, 4>("compact4 l2_squared scalar"),
    compact_row<Steps, CompactProduct, 4>("compact4 inner_product scalar"),
    compact_row<Steps, CompactCosine, 4>("compact4 cosine scalar"),
    compact_l1_row<4>("compact4 l1 scalar"),
    compact_row<Steps, CompactL2Squared, 1>("compact1 l2_squared scalar"),
    compact_row<Steps, CompactProduct, 1>("compact1 inner_product scalar"),
    compact_row<Steps, CompactCosine, 1>("compact1 cosine scalar"),
    compact_l1_row<1>("compact1 l1 scalar"),
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

const KernelTable scalar_table = {
    .rows = rows,
    .row_count = sizeof(rows) / sizeof(rows[0]),
    .float32 = dense_kernels<float>,
    .float16 = dense_kernels<Half>,
    .bits = bit_kernels<Bits>,
    .keys = key_kernels_of<OneKey>,
    .link_codes = {link_code_sums, link_code_distances},
};

}  // namespace dvec::distance
