// Distances by our kernels and by loops that add the same terms in another order: as another
// library's operators do, which an index may have to answer for.
#include "engine/distance/rounding.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "engine/distance/cosine_parts.hpp"
#include "test/unit/distance/isa_test_case.hpp"

namespace dvec::distance {
namespace {

using Floats = std::vector<float>;

enum class Fused : bool { no, yes };

struct Loop {
    std::vector<std::size_t> order;
    Fused fused;

    float add(float sum, float a, float b) const {
        return fused == Fused::yes ? std::fma(a, b, sum) : sum + a * b;
    }
};

double by_loop(Metric metric, const Floats &a, const Floats &b, const Loop &loop) {
    float squares = 0;
    float absolutes = 0;
    float dot = 0;
    float norm_a = 0;
    float norm_b = 0;
    for (const std::size_t i : loop.order) {
        const float difference = a[i] - b[i];
        squares = loop.add(squares, difference, difference);
        absolutes += std::fabs(difference);
        dot = loop.add(dot, a[i], b[i]);
        norm_a = loop.add(norm_a, a[i], a[i]);
        norm_b = loop.add(norm_b, b[i], b[i]);
    }
    switch (metric) {
        case Metric::l2_squared:
            return std::sqrt(double{squares});
        case Metric::l1:
            return absolutes;
        case Metric::cosine:
            return cosine_distance({dot, norm_a, norm_b});
        default:
            return -double{dot};
    }
}

double length(const Floats &a) {
    return std::sqrt(std::inner_product(a.begin(), a.end(), a.begin(), 0.0));
}

class RoundingTest : public IsaTestCase {
  protected:
    Floats make(std::size_t dimensions, float scale) {
        std::normal_distribution<float> normal(0, scale);
        Floats vector(dimensions);
        for (float &element : vector)
            element = normal(random_);
        return vector;
    }

    Loop make_loop(std::size_t dimensions) {
        Loop loop{std::vector<std::size_t>(dimensions), static_cast<Fused>(random_() % 2)};
        std::iota(loop.order.begin(), loop.order.end(), std::size_t{0});
        if (random_() % 4 != 0)
            std::shuffle(loop.order.begin(), loop.order.end(), random_);
        return loop;
    }

    void check(Metric metric, const Floats &a, const Floats &b) {
        const std::size_t dimensions = a.size();
        const Kernel *kernel = find_kernel(Element::float32, metric);
        ASSERT_NE(kernel, nullptr);
        const double ours =
            kernel->operator_value(kernel->whole_distance(a.data(), b.data(), dimensions));
        const double theirs = by_loop(metric, a, b, make_loop(dimensions));
        const double lengths = length(a) * length(b);
        EXPECT_GE(theirs, least_of_other(metric, ours, dimensions, lengths))
            << kernel->name << ", " << dimensions << " dimensions, ours " << ours;
        // And the other way round: the bound is symmetric.
        EXPECT_GE(ours, least_of_other(metric, theirs, dimensions, lengths));
    }

    std::mt19937 random_{20};
};

constexpr Metric metrics[] = {Metric::l2_squared, Metric::inner_product, Metric::l1,
                              Metric::cosine};

TEST_P(RoundingTest, HoldsInAnyOrder) {
    for (const Metric metric : metrics)
        for (const std::size_t dimensions : {1, 2, 3, 17, 100, 768, 3000})
            for (int i = 0; i < 40; ++i)
                check(metric, make(dimensions, 1), make(dimensions, 1));
}

// Differences far smaller than what they are made from, and sums that cancel.
TEST_P(RoundingTest, HoldsForNeighbours) {
    for (const Metric metric : metrics)
        for (int i = 0; i < 200; ++i) {
            const Floats a = make(300, 1);
            Floats b = a;
            for (float &element : b)
                element *= 1 + 1e-6F * static_cast<float>(random_() % 100);
            if (i % 2 == 0)
                for (std::size_t j = 0; j < b.size(); j += 2)
                    b[j] = -b[j];
            check(metric, a, b);
        }
}

TEST_P(RoundingTest, HoldsForSumsWithoutSignsWhateverTheirScale) {
    for (const Metric metric : {Metric::l2_squared, Metric::l1})
        for (const float scale :
             {1e-45F, 1e-30F, 1e-22F, 1e-20F, 1e17F, 5e17F, 1e18F, 1e19F, 1e30F})
            for (int i = 0; i < 40; ++i)
                check(metric, make(500, scale), make(500, scale));
}

TEST(RoundingBoundTest, IsClose) {
    EXPECT_GT(least_of_other(Metric::l2_squared, 1, 768, 0), 1 - 1e-4);
    EXPECT_GT(least_of_other(Metric::cosine, 0.5, 768, 0), 0.5 - 2e-4);
    EXPECT_GT(least_of_other(Metric::inner_product, -1, 768, 1), -1 - 1e-4);
    EXPECT_GT(least_of_other(Metric::hamming, 7, 768, 0), 7 - 1e-9);
    EXPECT_LT(least_of_other(Metric::jaccard, 0.5, 768, 0), 0.5);
}

TEST(RoundingBoundTest, WhatIsNoNumberBoundsNothing) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    for (const Metric metric : metrics)
        EXPECT_EQ(least_of_other(metric, std::nan(""), 10, 1), -infinity);
    // One of two sums may overflow where the other does not.
    EXPECT_LT(least_of_other(Metric::l2_squared, infinity, 10, 0), 2e19);
    EXPECT_LT(least_of_other(Metric::l1, infinity, 10, 0), 3.5e38);
    EXPECT_EQ(least_of_other(Metric::inner_product, infinity, 10, 1), infinity);
    EXPECT_EQ(least_of_other(Metric::inner_product, infinity, 10, infinity), -infinity);
    EXPECT_EQ(least_of_other(Metric::inner_product, 1, 10, std::nan("")), -infinity);
}

INSTANTIATE_TEST_SUITE_P(Isas, RoundingTest, testing::ValuesIn(supported_isas()),
                         isa_parameter_name);

}  // namespace
}  // namespace dvec::distance
