// The cosine distance of vectors of any length: what the operator's formula makes of them, and
// where they point.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "engine/distance/float16.hpp"
#include "engine/distance/float32.hpp"
#include "engine/distance/kernel.hpp"
#include "engine/distance/sparse.hpp"
#include "isa_test_case.hpp"

namespace dvec::distance {
namespace {

using Floats = std::vector<float>;

class Cosine : public IsaTestCase {};

INSTANTIATE_TEST_SUITE_P(, Cosine, testing::ValuesIn(supported_isas()), isa_parameter_name);

constexpr double lengths[] = {1e-40, 1e-30, 1e-20, 1e-12, 1, 1e12, 1e20, 1e30};
constexpr std::size_t dimensions[] = {1, 3, 16, 37, 100};

Floats of_length(std::size_t n, double length, std::mt19937 &random) {
    std::normal_distribution<double> normal(0, length);
    Floats vector(n);
    for (float &x : vector)
        x = static_cast<float>(normal(random));
    return vector;
}

// The formula as pgvector's documents have it, of sums in float.
double by_formula(const CosineParts &parts) {
    const double cosine =
        parts.dot / std::sqrt(double{parts.squared_norm_a} * double{parts.squared_norm_b});
    return std::isnan(cosine) ? cosine : 1 - std::min(std::max(cosine, -1.0), 1.0);
}

void expect_same(double found, double expected) {
    if (std::isnan(expected))
        EXPECT_TRUE(std::isnan(found));
    else
        EXPECT_EQ(found, expected);
}

void expect_same_float(float found, double whole) { expect_same(found, static_cast<float>(whole)); }

// In long double, where nothing overflows or vanishes.
long double angle_of(const Floats &a, const Floats &b) {
    long double dot = 0, norm_a = 0, norm_b = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        dot += static_cast<long double>(a[i]) * b[i];
        norm_a += static_cast<long double>(a[i]) * a[i];
        norm_b += static_cast<long double>(b[i]) * b[i];
    }
    return 1 - dot / std::sqrt(norm_a * norm_b);
}

TEST_P(Cosine, IsTheOperatorsToTheLastBit) {
    std::mt19937 random(1);
    const Kernel &row = *find_kernel(Element::float32, Metric::cosine);
    for (const std::size_t n : dimensions)
        for (const double a_length : lengths)
            for (const double b_length : lengths) {
                SCOPED_TRACE(testing::Message() << n << ", " << a_length << ", " << b_length);
                const Floats a = of_length(n, a_length, random);
                const Floats b = of_length(n, b_length, random);
                const double expected = by_formula(cosine_parts(a.data(), b.data(), n));
                expect_same(row.whole_distance(a.data(), b.data(), n), expected);
                expect_same_float(row.distance(a.data(), b.data(), n), expected);
            }
}

TEST_P(Cosine, OfHalvesIsTheOperatorsToTheLastBit) {
    std::mt19937 random(2);
    const Kernel &row = *find_kernel(Element::float16, Metric::cosine);
    for (const std::size_t n : dimensions)
        for (const double length : {1e-6, 1e-3, 1.0, 1e4}) {
            std::vector<Half> a(n), b(n);
            for (std::size_t i = 0; i < n; ++i) {
                a[i] = narrow(of_length(1, length, random)[0]);
                b[i] = narrow(of_length(1, 1, random)[0]);
            }
            const double expected = by_formula(cosine_parts(a.data(), b.data(), n));
            expect_same(row.whole_distance(a.data(), b.data(), n), expected);
            expect_same_float(row.distance(a.data(), b.data(), n), expected);
            EXPECT_EQ(row.link_distance(), row.distance) << "halves have no squares to lose";
        }
}

TEST_P(Cosine, IsLinkedByTheDirection) {
    std::mt19937 random(3);
    const Kernel &row = *find_kernel(Element::float32, Metric::cosine);
    for (const std::size_t n : dimensions)
        for (const double a_length : lengths)
            for (const double b_length : lengths) {
                const Floats a = of_length(n, a_length, random);
                const Floats b = of_length(n, b_length, random);
                EXPECT_NEAR(row.link_distance()(a.data(), b.data(), n), angle_of(a, b), 3e-6)
                    << n << ", " << a_length << ", " << b_length;
            }
    const Floats zeros(16, 0.0F);
    const Floats ones(16, 1.0F);
    EXPECT_TRUE(std::isnan(row.link_distance()(zeros.data(), ones.data(), 16)));
}

// Of which a merge finds few indices in both.
std::vector<std::byte> sparse(std::size_t n, double length, std::mt19937 &random) {
    std::vector<std::byte> bytes(sparse_bytes(indexed_capacity(Element::sparse_float32, n)),
                                 std::byte{0});
    std::vector<std::int32_t> indices;
    for (std::size_t i = 0; i < n; ++i)
        if (random() % 3 != 0)
            indices.push_back(static_cast<std::int32_t>(i));
    const Floats values = of_length(indices.size(), length, random);
    SparseHead head{static_cast<std::uint32_t>(indices.size()), 0};
    std::memcpy(bytes.data() + sizeof(head), indices.data(), indices.size() * 4);
    std::memcpy(bytes.data() + sizeof(head) + indices.size() * 4, values.data(), values.size() * 4);
    std::memcpy(bytes.data(), &head, sizeof(head));
    head.norm = squared_norm(SparseView::of(bytes.data(), n));
    std::memcpy(bytes.data(), &head, sizeof(head));
    return bytes;
}

Floats dense(const std::vector<std::byte> &bytes, std::size_t n) {
    Floats vector(n, 0.0F);
    const auto view = SparseView::of(bytes.data(), n);
    for (std::size_t i = 0; i < view.count; ++i)
        vector[static_cast<std::size_t>(view.indices[i])] = view.values[i];
    return vector;
}

TEST_P(Cosine, OfSparseVectorsIsTheOperatorsAndLinkedByTheDirection) {
    std::mt19937 random(4);
    const Kernel &row = *find_kernel(Element::sparse_float32, Metric::cosine);
    for (const std::size_t n : {16, 37, 100})
        for (const double a_length : lengths)
            for (const double b_length : lengths) {
                const auto a = sparse(n, a_length, random);
                const auto b = sparse(n, b_length, random);
                const double expected = by_formula(
                    cosine_parts(SparseView::of(a.data(), n), SparseView::of(b.data(), n)));
                expect_same(row.whole_distance(a.data(), b.data(), n), expected);
                expect_same_float(row.distance(a.data(), b.data(), n), expected);
                EXPECT_NEAR(row.link_distance()(a.data(), b.data(), n),
                            angle_of(dense(a, n), dense(b, n)), 3e-6);
            }
}

// Of other metrics, floats are all there is.
TEST_P(Cosine, WholeDistancesOfOthersAreTheirFloats) {
    std::mt19937 random(5);
    for (const Metric metric : {Metric::l2_squared, Metric::inner_product, Metric::l1})
        for (const double length : lengths) {
            const Kernel &row = *find_kernel(Element::float32, metric);
            const Floats a = of_length(37, length, random);
            const Floats b = of_length(37, 1, random);
            const float distance = row.distance(a.data(), b.data(), 37);
            expect_same(row.whole_distance(a.data(), b.data(), 37), distance);
            expect_same(row.operator_value(distance),
                        metric == Metric::l2_squared ? std::sqrt(double{distance}) : distance);
            EXPECT_EQ(row.link_distance(), row.distance);
        }
}

}  // namespace
}  // namespace dvec::distance
