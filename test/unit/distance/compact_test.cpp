// Products of compact vectors under every instruction set, against products of what they stand for.
#include "engine/distance/compact.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "test/unit/distance/fenced.hpp"
#include "test/unit/distance/isa_test_case.hpp"

namespace dvec::distance {
namespace {

constexpr Element elements[] = {Element::compact8, Element::compact4, Element::compact1};

class CompactKernels : public IsaTestCase {
  protected:
    std::vector<unsigned char> random_steps(unsigned bits, std::size_t dimensions) {
        std::vector<unsigned char> steps(compact_width(dimensions));
        for (unsigned char &step : steps)
            step = static_cast<unsigned char>(random_() % (1u << bits));
        return steps;
    }

    // As compact.hpp describes it.
    static std::vector<unsigned char> vector_of(const std::vector<unsigned char> &steps,
                                                unsigned bits, CompactHeader header) {
        std::vector<unsigned char> bytes(sizeof(header) + steps.size() * bits / 8);
        for (const unsigned char step : steps)
            header.sum += step;
        std::memcpy(bytes.data(), &header, sizeof(header));
        unsigned char *out = bytes.data() + sizeof(header);
        for (std::size_t i = 0; i < steps.size(); ++i) {
            if (bits == 8)
                out[i] = steps[i];
            else if (bits == 4)
                out[i / 64 * 32 + i % 32] |=
                    static_cast<unsigned char>(steps[i] << (i % 64 < 32 ? 0 : 4));
            else
                out[i / 8] |= static_cast<unsigned char>(steps[i] << i % 8);
        }
        return bytes;
    }

    CompactHeader random_header() {
        std::uniform_real_distribution<float> number(0.5f, 2);
        return {number(random_) * 1000, number(random_), number(random_) / 100, number(random_), 0};
    }

    std::mt19937_64 random_{11};
};

INSTANTIATE_TEST_SUITE_P(, CompactKernels, testing::ValuesIn(supported_isas()), isa_parameter_name);

double product(const std::vector<unsigned char> &a, unsigned a_bits, CompactHeader a_header,
               const std::vector<unsigned char> &b, unsigned b_bits, CompactHeader b_header,
               std::size_t dimensions) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        sum += (a[i] - ((1 << a_bits) - 1) / 2.0) * (b[i] - ((1 << b_bits) - 1) / 2.0);
    return sum * a_header.step * b_header.step +
           a_header.mean * b_header.mean * static_cast<double>(dimensions);
}

TEST_P(CompactKernels, MeasureWhatVectorsStandFor) {
    for (const std::size_t dimensions : {1u, 3u, 50u, 64u, 65u, 128u, 768u, 1536u, 16000u})
        for (const Element element : elements)
            for (const bool of_query : {false, true}) {
                const unsigned bits = compact_bits(element);
                const unsigned query_bits = of_query ? bits_of_queries : bits;
                const auto a_steps = random_steps(query_bits, dimensions);
                const auto b_steps = random_steps(bits, dimensions);
                const CompactHeader a = random_header(), b = random_header();
                const auto one = vector_of(a_steps, query_bits, a);
                const auto other = vector_of(b_steps, bits, b);
                const double expected =
                    product(a_steps, query_bits, a, b_steps, bits, b, dimensions);
                const auto measured = [&](Metric metric) {
                    const Kernel *row = find_kernel(element, metric);
                    const Kernel kernel = of_query ? row->of_queries() : *row;
                    EXPECT_EQ(kernel.query_bytes(dimensions), one.size());
                    EXPECT_EQ(kernel.vector_bytes(dimensions), other.size());
                    const void *four[] = {other.data(), other.data(), other.data(), other.data()};
                    float distances[4];
                    kernel.four_distances(one.data(), four, dimensions, distances);
                    const float distance = kernel.distance(one.data(), other.data(), dimensions);
                    for (const float same : distances)
                        EXPECT_EQ(same, distance);
                    return double{distance};
                };
                const double squares = a.square + b.square;
                const double slack = 1e-6 * (std::abs(expected) + squares);
                EXPECT_NEAR(measured(Metric::inner_product), -expected, slack);
                EXPECT_NEAR(measured(Metric::l2_squared), std::max(0.0, squares - 2 * expected),
                            2 * slack);
                const double cosine = expected / std::sqrt(a.square * b.square);
                EXPECT_NEAR(measured(Metric::cosine), std::max(0.0, 1 - cosine),
                            1e-6 * (1 + std::abs(cosine)));
            }
}

// Odd ones, and those around the parts that registers and lanes divide vectors into.
constexpr std::size_t l1_dimensions[] = {1,  2,  7,  8,   15,  16,  17,  31,  32,  33,   50,
                                         63, 64, 65, 100, 127, 129, 384, 768, 997, 1536, 16000};

struct Compact {
    std::vector<unsigned char> steps;
    unsigned bits;
    CompactHeader header;

    double from_mean(std::size_t i) const {
        return header.step * (steps[i] - ((1 << bits) - 1) / 2.0);
    }
    double element(std::size_t i) const { return header.mean + from_mean(i); }
};

TEST_P(CompactKernels, SumTheDifferencesOfElements) {
    for (const std::size_t dimensions : l1_dimensions)
        for (const Element element : elements)
            for (const bool of_query : {false, true}) {
                const unsigned bits = compact_bits(element);
                const unsigned query_bits = of_query ? bits_of_queries : bits;
                const Compact a{random_steps(query_bits, dimensions), query_bits, random_header()};
                const Compact b{random_steps(bits, dimensions), bits, random_header()};
                double expected = 0, lengths = 0;
                for (std::size_t i = 0; i < dimensions; ++i) {
                    expected += std::abs(a.element(i) - b.element(i));
                    lengths += std::abs(a.from_mean(i)) + std::abs(b.from_mean(i));
                }
                const Kernel *row = find_kernel(element, Metric::l1);
                const Kernel kernel = of_query ? row->of_queries() : *row;
                const auto one = vector_of(a.steps, query_bits, a.header);
                const auto other = vector_of(b.steps, bits, b.header);
                const double measured =
                    double{kernel.distance(one.data(), other.data(), dimensions)};
                // Scales keep sixteen bits at least.
                EXPECT_NEAR(measured, expected, std::ldexp(lengths, -16) + 1e-6 * expected + 1e-7)
                    << kernel.name << ", " << dimensions << " dimensions";
                const void *four[] = {other.data(), one.data(), other.data(), other.data()};
                if (query_bits != bits)
                    four[1] = other.data();
                float distances[4];
                kernel.four_distances(one.data(), four, dimensions, distances);
                for (std::size_t i = 0; i < 4; ++i)
                    EXPECT_EQ(double{distances[i]}, four[i] == one.data() ? 0 : measured);
                if (query_bits == bits) {
                    EXPECT_EQ(double{kernel.distance(other.data(), one.data(), dimensions)},
                              measured);
                }
            }
}

// Nodes are linked by these distances, and an index may move to another machine.
TEST_P(CompactKernels, SumDifferencesToTheSameBits) {
    for (const std::size_t dimensions : l1_dimensions)
        for (const Element element : elements)
            for (const bool of_query : {false, true})
                for (const double scale : {1.0, 1e-42, 1e-9, 1e36, 3e37}) {
                    const unsigned bits = compact_bits(element);
                    const unsigned query_bits = of_query ? bits_of_queries : bits;
                    CompactHeader a = random_header(), b = random_header();
                    a.mean *= scale;
                    a.step *= scale;
                    b.step *= scale;
                    const auto one = vector_of(random_steps(query_bits, dimensions), query_bits, a);
                    const auto other = vector_of(random_steps(bits, dimensions), bits, b);
                    const auto measured = [&](Isa isa) {
                        const Kernel *row = find_kernel(isa, element, Metric::l1);
                        const Kernel kernel = of_query ? row->of_queries() : *row;
                        return kernel.distance(one.data(), other.data(), dimensions);
                    };
                    EXPECT_EQ(measured(GetParam()), measured(Isa::scalar))
                        << find_kernel(element, Metric::l1)->name << ", " << dimensions
                        << " dimensions";
                }
}

// What a compiler for another processor makes of the same code.
TEST_P(CompactKernels, SumDifferencesToBitsThatAreKnown) {
    constexpr std::size_t dimensions = 997;
    constexpr float expected[] = {0x1.9a346ep+13F, 0x1.9c3518p+13F, 0x1.b78854p+9F,
                                  0x1.1944d8p+13F, 0x1.d72ebp+7F,   0x1.1bcac6p+13F};
    std::size_t at = 0;
    for (const Element element : elements)
        for (const bool of_query : {false, true}) {
            const unsigned bits = compact_bits(element);
            const unsigned query_bits = of_query ? bits_of_queries : bits;
            const auto one = vector_of(random_steps(query_bits, dimensions), query_bits,
                                       {0, 1.0 / 3, 1.0 / 7, 0, 0});
            const auto other =
                vector_of(random_steps(bits, dimensions), bits, {0, 0.1, 0.17, 0, 0});
            const Kernel *row = find_kernel(element, Metric::l1);
            const Kernel kernel = of_query ? row->of_queries() : *row;
            EXPECT_EQ(kernel.distance(one.data(), other.data(), dimensions), expected[at++])
                << kernel.name;
        }
}

// Elements near the greatest float, whose differences are beyond it.
TEST_P(CompactKernels, SumDifferencesOfLongVectors) {
    constexpr std::size_t dimensions = 3;
    constexpr double greatest = 3.4e38;
    for (const Element element : elements) {
        const unsigned bits = compact_bits(element);
        const auto last = static_cast<unsigned char>((1u << bits) - 1);
        const CompactHeader header{0, 0, 2 * greatest / last, 0, 0};
        std::vector<unsigned char> steps(compact_width(dimensions), last);
        const auto one = vector_of(steps, bits, header);
        steps[1] = 0;
        const auto other = vector_of(steps, bits, header);
        const CompactHeader half{0, greatest / 2, greatest / last, 0, 0};
        const auto near = vector_of(std::vector<unsigned char>(steps.size(), last), bits, half);
        const Kernel &kernel = *find_kernel(element, Metric::l1);
        EXPECT_EQ(kernel.distance(one.data(), one.data(), dimensions), 0);
        EXPECT_TRUE(std::isinf(kernel.distance(one.data(), other.data(), dimensions)));
        EXPECT_LT(kernel.distance(one.data(), near.data(), dimensions), greatest / 1e4);
    }
}

TEST_P(CompactKernels, HaveNoCosineWithoutADirection) {
    constexpr std::size_t dimensions = 70;
    for (const Element element : elements) {
        const Kernel kernel = *find_kernel(element, Metric::cosine);
        std::vector<unsigned char> zeros(kernel.vector_bytes(dimensions));
        const auto other = vector_of(random_steps(compact_bits(element), dimensions),
                                     compact_bits(element), random_header());
        EXPECT_TRUE(std::isnan(kernel.distance(zeros.data(), other.data(), dimensions)));
        EXPECT_TRUE(std::isnan(kernel.distance(other.data(), zeros.data(), dimensions)));
        std::vector<unsigned char> query(kernel.of_queries().query_bytes(dimensions));
        EXPECT_TRUE(
            std::isnan(kernel.of_queries().distance(query.data(), other.data(), dimensions)));
    }
}

TEST_P(CompactKernels, ReadNothingBehindVectors) {
    const Fenced<unsigned char> memory(compact_bytes(8, 2000), 0);
    for (const std::size_t dimensions : {1u, 64u, 100u, 2000u})
        for (const Element element : elements) {
            for (const Metric metric : {Metric::l2_squared, Metric::l1}) {
                const Kernel kernel = *find_kernel(element, metric);
                const unsigned char *vector = memory.last(kernel.vector_bytes(dimensions));
                EXPECT_EQ(kernel.distance(vector, vector, dimensions), 0);
                const Kernel of_queries = kernel.of_queries();
                EXPECT_EQ(of_queries.distance(memory.last(of_queries.query_bytes(dimensions)),
                                              vector, dimensions),
                          0);
            }
        }
}

}  // namespace
}  // namespace dvec::distance
