// What the distance kernels of every instruction set promise about their results (float32.hpp).
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "engine/distance/float32.hpp"
#include "engine/distance/isa.hpp"
#include "engine/distance/kernel.hpp"
#include "isa_test_case.hpp"
#include "measurement.hpp"

namespace dvec::distance {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float smallest_denormal = std::numeric_limits<float>::denorm_min();
constexpr std::size_t longest_remainder = 67;

class Kernels : public IsaTestCase {};

INSTANTIATE_TEST_SUITE_P(, Kernels, testing::ValuesIn(supported_isas()), isa_parameter_name);

std::string at(std::size_t dimensions, const char *sum) {
    return std::string(sum) + " of " + std::to_string(dimensions) + " dimensions";
}

void expect_same_bits(const Measurement &one, const Measurement &other, std::size_t dimensions) {
    for (std::size_t sum = 0; sum < float_sums; ++sum) {
        EXPECT_EQ(std::bit_cast<std::uint32_t>(one.sums[sum]),
                  std::bit_cast<std::uint32_t>(other.sums[sum]))
            << at(dimensions, float_sum_names[sum]);
    }
    EXPECT_EQ(std::bit_cast<std::uint64_t>(one.squared_norm),
              std::bit_cast<std::uint64_t>(other.squared_norm))
        << at(dimensions, "squared_norm");
}

// Against the exact sums, and against the scalar kernels' results.
void expect_within_bound(const std::vector<float> &a, const std::vector<float> &b) {
    const std::size_t dimensions = a.size();
    const Isa isa = active_isa();
    const Measurement measured = measure(a.data(), b.data(), dimensions);
    ASSERT_TRUE(select_isa(Isa::scalar));
    const Measurement reference = measure(a.data(), b.data(), dimensions);
    ASSERT_TRUE(select_isa(isa));
    const ExactMeasurement exact = measure_exactly(a.data(), b.data(), dimensions);
    for (std::size_t sum = 0; sum < float_sums; ++sum) {
        const double allowed = allowed_error(exact.magnitudes[sum], dimensions);
        EXPECT_NEAR(measured.sums[sum], exact.sums[sum], allowed)
            << at(dimensions, float_sum_names[sum]);
        EXPECT_NEAR(measured.sums[sum], reference.sums[sum], 2 * allowed)
            << at(dimensions, float_sum_names[sum]) << " against scalar";
    }
    const double exact_norm = exact.sums[4];
    EXPECT_NEAR(measured.squared_norm, exact_norm, 1e-12 * exact_norm)
        << at(dimensions, "squared_norm");
}

// Every partial sum is a whole number below 2^24, so nothing may be rounded and a lost, doubled or
// misplaced element cannot hide behind an error bound. No term is zero.
TEST_P(Kernels, WholeNumbersAreSummedExactly) {
    for (const std::size_t dimensions : tested_lengths()) {
        const std::vector<float> a =
            random_floats(dimensions, std::uniform_int_distribution<int>(1, 16), 1);
        const std::vector<float> b =
            random_floats(dimensions, std::uniform_int_distribution<int>(-16, -1), 2);
        const ExactMeasurement exact = measure_exactly(a.data(), b.data(), dimensions);
        const Measurement measured = measure(a.data(), b.data(), dimensions);
        for (std::size_t sum = 0; sum < float_sums; ++sum) {
            EXPECT_EQ(measured.sums[sum], exact.sums[sum]) << at(dimensions, float_sum_names[sum]);
        }
        EXPECT_EQ(measured.squared_norm, exact.sums[4]) << at(dimensions, "squared_norm");
    }
}

TEST_P(Kernels, RandomValuesStayWithinTheBound) {
    for (const std::size_t dimensions : tested_lengths()) {
        const std::uniform_real_distribution<double> uniform(-1, 1);
        expect_within_bound(random_floats(dimensions, uniform, 3),
                            random_floats(dimensions, uniform, 4));
    }
}

TEST_P(Kernels, ValuesOfVeryDifferentSizeStayWithinTheBound) {
    for (const std::size_t dimensions : tested_lengths()) {
        const std::lognormal_distribution<double> wide(0, 6);
        expect_within_bound(random_floats(dimensions, wide, 5), random_floats(dimensions, wide, 6));
    }
}

TEST_P(Kernels, NearlyEqualVectorsStayWithinTheBound) {
    for (const std::size_t dimensions : tested_lengths()) {
        const std::vector<float> a =
            random_floats(dimensions, std::uniform_real_distribution<double>(-1, 1), 7);
        std::vector<float> b = a;
        std::transform(b.begin(), b.end(), b.begin(), [](float x) { return x * 1.0000002F; });
        expect_within_bound(a, b);
    }
}

TEST_P(Kernels, SquaresThatUnderflowStayWithinTheBound) {
    for (const std::size_t dimensions : tested_lengths()) {
        const std::uniform_real_distribution<double> tiny(-1e-20, 1e-20);
        expect_within_bound(random_floats(dimensions, tiny, 8), random_floats(dimensions, tiny, 9));
    }
}

TEST_P(Kernels, DenormalsAreNotFlushedToZero) {
    for (const std::size_t dimensions : tested_lengths()) {
        const std::vector<float> a(dimensions, 5 * smallest_denormal);
        const std::vector<float> b(dimensions, 2 * smallest_denormal);
        const float n = static_cast<float>(dimensions);
        EXPECT_EQ(l1(a.data(), b.data(), dimensions), 3 * n * smallest_denormal) << dimensions;
        EXPECT_EQ(squared_norm(a.data(), dimensions), 25 * n * std::ldexp(1.0, -298)) << dimensions;
    }
}

TEST_P(Kernels, ZerosAreAtDistanceZero) {
    for (const std::size_t dimensions : tested_lengths()) {
        const std::vector<float> zeros(dimensions, 0.0F);
        const std::vector<float> negative_zeros(dimensions, -0.0F);
        const Measurement measured = measure(zeros.data(), negative_zeros.data(), dimensions);
        for (std::size_t sum = 0; sum < float_sums; ++sum) {
            EXPECT_EQ(measured.sums[sum], 0) << at(dimensions, float_sum_names[sum]);
        }
        EXPECT_EQ(measured.squared_norm, 0) << at(dimensions, "squared_norm");
    }
}

TEST_P(Kernels, NullPointersAreValidForNoDimensions) {
    const Measurement measured = measure(nullptr, nullptr, 0);
    EXPECT_TRUE(std::ranges::all_of(measured.sums, [](float sum) { return sum == 0; }));
    EXPECT_EQ(measured.squared_norm, 0);
}

TEST_P(Kernels, ResultsDoNotDependOnTheAddress) {
    const std::uniform_real_distribution<double> uniform(-1, 1);
    constexpr std::size_t longest_shift = 17;
    for (const std::size_t dimensions : tested_lengths()) {
        const std::vector<float> a = random_floats(dimensions, uniform, 10);
        const std::vector<float> b = random_floats(dimensions, uniform, 11);
        const Measurement expected = measure(a.data(), b.data(), dimensions);
        std::vector<float> moved_a(dimensions + longest_shift);
        std::vector<float> moved_b(dimensions + longest_shift);
        for (std::size_t shift = 0; shift < longest_shift; ++shift) {
            const std::size_t other_shift = shift * 5 % longest_shift;
            std::ranges::copy(a, moved_a.begin() + static_cast<std::ptrdiff_t>(shift));
            std::ranges::copy(b, moved_b.begin() + static_cast<std::ptrdiff_t>(other_shift));
            const Measurement measured =
                measure(moved_a.data() + shift, moved_b.data() + other_shift, dimensions);
            expect_same_bits(measured, expected, dimensions);
        }
    }
}

TEST_P(Kernels, AreSymmetric) {
    for (const std::size_t dimensions : tested_lengths()) {
        const std::normal_distribution<double> normal;
        const std::vector<float> a = random_floats(dimensions, normal, 12);
        const std::vector<float> b = random_floats(dimensions, normal, 13);
        Measurement swapped = measure(b.data(), a.data(), dimensions);
        std::swap(swapped.sums[4], swapped.sums[5]);
        swapped.squared_norm = squared_norm(a.data(), dimensions);
        expect_same_bits(measure(a.data(), b.data(), dimensions), swapped, dimensions);
    }
}

TEST_P(Kernels, AVectorIsAtDistanceZeroFromItself) {
    for (const std::size_t dimensions : tested_lengths()) {
        const std::vector<float> a =
            random_floats(dimensions, std::normal_distribution<double>(), 14);
        EXPECT_EQ(l2_squared(a.data(), a.data(), dimensions), 0) << dimensions;
        EXPECT_EQ(l1(a.data(), a.data(), dimensions), 0) << dimensions;
        const CosineParts parts = cosine_parts(a.data(), a.data(), dimensions);
        EXPECT_EQ(parts.dot, parts.squared_norm_a) << dimensions;
        EXPECT_EQ(parts.dot, parts.squared_norm_b) << dimensions;
    }
}

// In every part of a vector: whole blocks, registers behind them, and single elements.
TEST_P(Kernels, SumsOfACosineAreInnerProducts) {
    for (const std::size_t dimensions : tested_lengths()) {
        const std::vector<float> a =
            random_floats(dimensions, std::normal_distribution<double>(), 15);
        const std::vector<float> b =
            random_floats(dimensions, std::normal_distribution<double>(), 16);
        const CosineParts parts = cosine_parts(a.data(), b.data(), dimensions);
        EXPECT_EQ(parts.dot, inner_product(a.data(), b.data(), dimensions)) << dimensions;
        EXPECT_EQ(parts.squared_norm_a, inner_product(a.data(), a.data(), dimensions))
            << dimensions;
        EXPECT_EQ(parts.squared_norm_b, inner_product(b.data(), b.data(), dimensions))
            << dimensions;
    }
}

TEST_P(Kernels, TermsOutOfRangeAreInfinite) {
    for (const std::size_t dimensions : tested_lengths()) {
        const std::vector<float> a(dimensions, 3e38F);
        const std::vector<float> b(dimensions, -3e38F);
        const Measurement measured = measure(a.data(), b.data(), dimensions);
        const float expected = dimensions == 0 ? 0 : infinity;
        for (std::size_t sum = 0; sum < float_sums; ++sum) {
            EXPECT_EQ(std::abs(measured.sums[sum]), expected)
                << at(dimensions, float_sum_names[sum]);
        }
        EXPECT_LE(inner_product(a.data(), b.data(), dimensions), 0) << dimensions;
        EXPECT_NEAR(measured.squared_norm, 9e76 * static_cast<double>(dimensions),
                    9e70 * static_cast<double>(dimensions));
    }
}

// Each term is in range, two of them are not.
TEST_P(Kernels, SumsOutOfRangeAreInfinite) {
    for (const std::size_t dimensions : tested_lengths()) {
        const std::vector<float> a(dimensions, 1.5e19F);
        const std::vector<float> huge(dimensions, 2e38F);
        const std::vector<float> zeros(dimensions, 0.0F);
        const bool in_range = dimensions < 2;
        EXPECT_EQ(std::isfinite(l2_squared(a.data(), zeros.data(), dimensions)), in_range);
        EXPECT_EQ(std::isfinite(inner_product(a.data(), a.data(), dimensions)), in_range);
        EXPECT_EQ(std::isfinite(l1(huge.data(), zeros.data(), dimensions)), in_range);
        EXPECT_EQ(std::isfinite(cosine_parts(a.data(), zeros.data(), dimensions).squared_norm_a),
                  in_range);
        EXPECT_EQ(cosine_parts(a.data(), zeros.data(), dimensions).squared_norm_b, 0);
    }
}

TEST_P(Kernels, NaNAnywhereInEitherVectorGivesNaN) {
    for (std::size_t dimensions = 1; dimensions <= longest_remainder; ++dimensions) {
        const std::vector<float> ones(dimensions, 1.0F);
        for (std::size_t position = 0; position < dimensions; ++position) {
            std::vector<float> holed = ones;
            holed[position] = not_a_number;
            const Measurement first = measure(holed.data(), ones.data(), dimensions);
            const Measurement second = measure(ones.data(), holed.data(), dimensions);
            for (std::size_t sum = 0; sum < 4; ++sum) {
                EXPECT_TRUE(std::isnan(first.sums[sum])) << at(dimensions, float_sum_names[sum]);
                EXPECT_TRUE(std::isnan(second.sums[sum])) << at(dimensions, float_sum_names[sum]);
            }
            EXPECT_TRUE(std::isnan(first.sums[4]));
            EXPECT_FALSE(std::isnan(first.sums[5]));
            EXPECT_FALSE(std::isnan(second.sums[4]));
            EXPECT_TRUE(std::isnan(second.sums[5]));
            EXPECT_TRUE(std::isnan(first.squared_norm));
        }
    }
}

TEST_P(Kernels, InfinitiesFollowArithmetic) {
    for (std::size_t dimensions = 1; dimensions <= longest_remainder; ++dimensions) {
        const std::vector<float> zeros(dimensions, 0.0F);
        for (std::size_t position = 0; position < dimensions; ++position) {
            std::vector<float> a = zeros;
            a[position] = -infinity;
            const Measurement apart = measure(a.data(), zeros.data(), dimensions);
            EXPECT_EQ(apart.sums[0], infinity) << dimensions;
            EXPECT_TRUE(std::isnan(apart.sums[1])) << dimensions;
            EXPECT_EQ(apart.sums[2], infinity) << dimensions;
            const Measurement together = measure(a.data(), a.data(), dimensions);
            EXPECT_TRUE(std::isnan(together.sums[0])) << dimensions;
            EXPECT_EQ(together.sums[1], infinity) << dimensions;
            EXPECT_TRUE(std::isnan(together.sums[2])) << dimensions;
            EXPECT_EQ(together.squared_norm, std::numeric_limits<double>::infinity());
        }
    }
}

TEST_P(Kernels, ParallelVectorsHaveCosineOne) {
    const float a[] = {1.0F, 1.0F};
    const float b[] = {1.1F, 1.1F};
    const CosineParts parts = cosine_parts(a, b, 2);
    const double similarity =
        parts.dot / std::sqrt(double{parts.squared_norm_a} * double{parts.squared_norm_b});
    EXPECT_EQ(1.0 - std::min(similarity, 1.0), 0.0);
}

// The rows that an index uses and the entry points that the operators use are the same kernels.
TEST_P(Kernels, RowsAgreeWithTheOperators) {
    const Kernel *l2_row = find_kernel(Element::float32, Metric::l2_squared);
    const Kernel *inner_product_row = find_kernel(Element::float32, Metric::inner_product);
    const Kernel *l1_row = find_kernel(Element::float32, Metric::l1);
    ASSERT_TRUE(l2_row != nullptr && inner_product_row != nullptr && l1_row != nullptr);
    const std::normal_distribution<double> normal;
    for (const std::size_t n : tested_lengths()) {
        const std::vector<float> a = random_floats(n, normal, 15);
        const std::vector<float> b = random_floats(n, normal, 16);
        EXPECT_EQ(l2_row->distance(a.data(), b.data(), n), l2_squared(a.data(), b.data(), n));
        EXPECT_EQ(inner_product_row->distance(a.data(), b.data(), n),
                  -inner_product(a.data(), b.data(), n));
        EXPECT_EQ(l1_row->distance(a.data(), b.data(), n), l1(a.data(), b.data(), n));
    }
}

TEST_P(Kernels, FourDistancesHaveTheBitsOfFourCalls) {
    const std::normal_distribution<double> normal;
    for (const Metric metric : {Metric::l2_squared, Metric::inner_product, Metric::l1}) {
        const Kernel *row = find_kernel(Element::float32, metric);
        ASSERT_NE(row, nullptr);
        for (const std::size_t n : tested_lengths()) {
            const std::vector<float> query = random_floats(n, normal, 17);
            const std::vector<float> floats = random_floats(4 * n, normal, 18);
            const void *vectors[4];
            float distances[6] = {-1, -1, -1, -1, -1, -1};
            for (std::size_t i = 0; i < 4; ++i) {
                vectors[i] = floats.data() + i * n;
            }
            row->four_distances(query.data(), vectors, n, distances + 1);
            for (std::size_t i = 0; i < 4; ++i) {
                const float alone = row->distance(query.data(), vectors[i], n);
                EXPECT_EQ(std::bit_cast<std::uint32_t>(distances[i + 1]),
                          std::bit_cast<std::uint32_t>(alone))
                    << row->name << ", vector " << i << " of " << n << " dimensions";
            }
            EXPECT_EQ(distances[0], -1);
            EXPECT_EQ(distances[5], -1);
        }
    }
}

}  // namespace
}  // namespace dvec::distance
