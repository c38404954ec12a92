// Half-precision numbers, and kernels on them: both against what they are defined by.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "engine/distance/float16.hpp"
#include "engine/distance/float32.hpp"
#include "engine/distance/isa.hpp"
#include "engine/distance/kernel.hpp"
#include "fenced.hpp"
#include "isa_test_case.hpp"
#include "measurement.hpp"

namespace dvec::distance {
namespace {

constexpr std::uint32_t every_bit_pattern = 0x10000;

Half half_of(std::uint32_t bits) { return {static_cast<std::uint16_t>(bits)}; }

bool is_finite(Half half) { return (half.bits & 0x7c00) != 0x7c00; }
bool is_nan(Half half) { return (half.bits & 0x7fff) > 0x7c00; }
bool is_zero(Half half) { return (half.bits & 0x7fff) == 0; }

// By the definition of the format; infinities and NaNs apart.
double value_of(Half half) {
    const int exponent = half.bits >> 10 & 0x1f;
    const int fraction = half.bits & 0x3ff;
    const double magnitude =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(0x400 + fraction, exponent - 25);
    return (half.bits & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(Half, EveryFiniteHalfIsWidenedExactly) {
    for (std::uint32_t bits = 0; bits < every_bit_pattern; ++bits) {
        const Half half = half_of(bits);
        if (is_finite(half)) {
            EXPECT_EQ(widen(half), value_of(half)) << bits;
            EXPECT_EQ(std::signbit(widen(half)), (bits & 0x8000) != 0) << bits;
            EXPECT_EQ(is_zero(half), widen(half) == 0) << bits;
        }
    }
    EXPECT_EQ(widen(half_of(0x7bff)), largest_half);
}

TEST(Half, InfinitiesAndNaNsStayWhatTheyAre) {
    EXPECT_EQ(widen(half_of(0x7c00)), std::numeric_limits<float>::infinity());
    EXPECT_EQ(widen(half_of(0xfc00)), -std::numeric_limits<float>::infinity());
    EXPECT_FALSE(is_nan(half_of(0x7c00)));
    for (const std::uint32_t sign : {0x0000U, 0x8000U}) {
        EXPECT_FALSE(is_finite(half_of(sign | 0x7c00)));
        for (std::uint32_t fraction = 1; fraction < 0x400; ++fraction) {
            const Half half = half_of(sign | 0x7c00 | fraction);
            EXPECT_TRUE(std::isnan(widen(half)));
            EXPECT_TRUE(is_nan(half) && !is_finite(half));
            EXPECT_TRUE(is_nan(narrow(widen(half))));
        }
    }
    EXPECT_TRUE(is_nan(narrow(std::numeric_limits<float>::signaling_NaN())));
}

TEST(Half, NarrowingUndoesWidening) {
    for (std::uint32_t bits = 0; bits < every_bit_pattern; ++bits) {
        if (!is_nan(half_of(bits))) {
            EXPECT_EQ(narrow(widen(half_of(bits))).bits, bits);
        }
    }
}

// Between each two neighbours, infinity taken for the number that would follow.
TEST(Half, NarrowingRoundsToNearestAndTiesToEven) {
    for (std::uint32_t bits = 0; bits < 0x7c00; ++bits) {
        const double low = value_of(half_of(bits));
        const double high = bits == 0x7bff ? 65536 : value_of(half_of(bits + 1));
        const float middle = static_cast<float>((low + high) / 2);
        ASSERT_EQ(middle, (low + high) / 2);
        const std::uint32_t even = bits % 2 == 0 ? bits : bits + 1;
        EXPECT_EQ(narrow(middle).bits, even) << bits;
        EXPECT_EQ(narrow(std::nextafter(middle, 0.0F)).bits, bits) << bits;
        EXPECT_EQ(narrow(std::nextafter(middle, 1e6F)).bits, bits + 1) << bits;
        EXPECT_EQ(narrow(-middle).bits, even | 0x8000) << bits;
    }
    EXPECT_EQ(narrow(std::numeric_limits<float>::max()).bits, 0x7c00);
    EXPECT_EQ(narrow(std::numeric_limits<float>::denorm_min()).bits, 0);
    EXPECT_EQ(narrow(-std::numeric_limits<float>::denorm_min()).bits, 0x8000);
}

class Float16 : public IsaTestCase {};

INSTANTIATE_TEST_SUITE_P(, Float16, testing::ValuesIn(supported_isas()), isa_parameter_name);

std::vector<Half> random_halves(std::size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<Half> halves(count);
    for (Half &half : halves) {
        do {
            half = half_of(random() & 0xffff);
        } while (!is_finite(half));
    }
    return halves;
}

std::vector<float> widened(const std::vector<Half> &halves) {
    std::vector<float> floats;
    for (const Half half : halves) {
        floats.push_back(widen(half));
    }
    return floats;
}

template <typename Scalar>
std::vector<double> all_results(const Scalar *a, const Scalar *b, std::size_t n) {
    const CosineParts parts = cosine_parts(a, b, n);
    return {l2_squared(a, b, n),  inner_product(a, b, n), l1(a, b, n),       parts.dot,
            parts.squared_norm_a, parts.squared_norm_b,   squared_norm(a, n)};
}

// Bit for bit the float kernels' results, whose quality kernels_test.cpp proves. The values are of
// all magnitudes, denormals among them, so that a lost or misplaced element shows.
TEST_P(Float16, ResultsAreThoseOfTheWidenedVectors) {
    for (const std::size_t n : tested_lengths()) {
        const std::vector<Half> a = random_halves(n, 21);
        const std::vector<Half> b = random_halves(n, 22);
        EXPECT_EQ(all_results(a.data(), b.data(), n),
                  all_results(widened(a).data(), widened(b).data(), n))
            << n;
    }
}

// In whole numbers every sum is exact, under every instruction set.
TEST_P(Float16, WholeNumbersAreSummedExactly) {
    for (const std::size_t n : tested_lengths()) {
        std::vector<Half> a(n);
        std::vector<Half> b(n);
        double l2 = 0;
        double dot = 0;
        for (std::size_t i = 0; i < n; ++i) {
            const float x = static_cast<float>(i % 7 + 1);
            const float y = -static_cast<float>(i % 5 + 1);
            a[i] = narrow(x);
            b[i] = narrow(y);
            l2 += (x - y) * (x - y);
            dot += x * y;
        }
        EXPECT_EQ(l2_squared(a.data(), b.data(), n), l2) << n;
        EXPECT_EQ(inner_product(a.data(), b.data(), n), dot) << n;
    }
}

TEST_P(Float16, RowsAgreeWithTheOperatorsAloneAndByFour) {
    for (const Metric metric : {Metric::l2_squared, Metric::inner_product, Metric::l1}) {
        const Kernel *row = find_kernel(Element::float16, metric);
        ASSERT_NE(row, nullptr);
        for (const std::size_t n : tested_lengths()) {
            const std::vector<Half> query = random_halves(n, 23);
            const std::vector<Half> halves = random_halves(4 * n, 24);
            const void *vectors[4];
            float distances[6] = {-1, -1, -1, -1, -1, -1};
            for (std::size_t i = 0; i < 4; ++i) {
                vectors[i] = halves.data() + i * n;
            }
            row->four_distances(query.data(), vectors, n, distances + 1);
            for (std::size_t i = 0; i < 4; ++i) {
                const Half *vector = halves.data() + i * n;
                const float alone = row->distance(query.data(), vector, n);
                const float expected =
                    metric == Metric::l2_squared ? l2_squared(query.data(), vector, n)
                    : metric == Metric::l1       ? l1(query.data(), vector, n)
                                                 : -inner_product(query.data(), vector, n);
                EXPECT_EQ(std::bit_cast<std::uint32_t>(alone),
                          std::bit_cast<std::uint32_t>(expected))
                    << row->name << " of " << n;
                EXPECT_EQ(std::bit_cast<std::uint32_t>(distances[i + 1]),
                          std::bit_cast<std::uint32_t>(alone))
                    << row->name << ", vector " << i << " of " << n;
            }
            EXPECT_EQ(distances[0], -1);
            EXPECT_EQ(distances[5], -1);
        }
    }
}

TEST_P(Float16, NothingBeforeOrBehindAVectorIsRead) {
    const Fenced<Half> a(16000, narrow(1));
    const Fenced<Half> b(16000, narrow(1));
    const Kernel *row = find_kernel(Element::float16, Metric::inner_product);
    for (const std::size_t n : tested_lengths()) {
        const double ones = static_cast<double>(n);
        const std::vector<double> expected{0, ones, 0, ones, ones, ones, ones};
        EXPECT_EQ(all_results(a.first(), b.first(), n), expected) << n;
        EXPECT_EQ(all_results(a.last(n), b.last(n), n), expected) << n;
        const void *const vectors[4] = {a.first(), b.last(n), b.first(), a.last(n)};
        float distances[4];
        row->four_distances(a.last(n), vectors, n, distances);
        for (const float distance : distances) {
            EXPECT_EQ(distance, -ones);
        }
    }
}

}  // namespace
}  // namespace dvec::distance
