// What compact vectors say of the vectors that they are made of.
#include "engine/graph/compact_encoder.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "engine/distance/float32.hpp"
#include "engine/distance/kernel.hpp"

namespace dvec::graph {
namespace {

using distance::CompactHeader;
using distance::Element;
using distance::Metric;

struct Kind {
    unsigned bits;
    Element element;
    double greatest_error;  // as a share of the length, of random vectors
};
constexpr Kind kinds[] = {
    {8, Element::compact8, 0.015}, {4, Element::compact4, 0.15}, {1, Element::compact1, 0.8}};

std::vector<float> random_vector(std::mt19937 &random, std::size_t dimensions, float offset = 0) {
    std::normal_distribution<float> normal;
    std::vector<float> vector(dimensions);
    for (float &element : vector)
        element = normal(random) + offset;
    return vector;
}

std::vector<unsigned char> compact(CompactEncoder &encoder, const std::vector<float> &vector,
                                   unsigned bits) {
    std::vector<unsigned char> out(distance::compact_bytes(bits, vector.size()), 0xAA);
    encoder.encode(vector.data(), Metric::l2_squared, bits, out.data());
    return out;
}

double product(const std::vector<unsigned char> &a, const std::vector<unsigned char> &b,
               Element element, std::size_t dimensions) {
    return -double{distance::find_kernel(element, Metric::inner_product)
                       ->of_queries()
                       .distance(a.data(), b.data(), dimensions)};
}

double exact_product(const std::vector<float> &a, const std::vector<float> &b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        sum += double{a[i]} * double{b[i]};
    return sum;
}

TEST(CompactEncoderTest, SaysHowFarAVectorIsAway) {
    std::mt19937 random(3);
    for (const std::size_t dimensions : {50u, 128u, 768u}) {
        CompactEncoder encoder(dimensions);
        for (const Kind &kind : kinds) {
            const auto vector = random_vector(random, dimensions);
            const CompactHeader header =
                distance::compact_header(compact(encoder, vector, kind.bits).data());
            const double length = std::sqrt(exact_product(vector, vector));
            EXPECT_NEAR(std::sqrt(header.square), length, 1e-6 * length);
            EXPECT_GT(header.error, 0);
            EXPECT_LT(header.error, kind.greatest_error * length);
        }
    }
}

// The error is random, right on average, and no larger than the header says for a random direction.
TEST(CompactEncoderTest, GivesProductsThatAreRightOnAverage) {
    std::mt19937 random(4);
    constexpr std::size_t dimensions = 256;
    constexpr int pairs = 400;
    CompactEncoder encoder(dimensions);
    for (const Kind &kind : kinds)
        for (const float offset : {0.0f, 3.0f}) {
            double sum = 0, squares = 0;
            int beyond = 0;
            for (int i = 0; i < pairs; ++i) {
                const auto row = random_vector(random, dimensions, offset);
                const auto query = random_vector(random, dimensions, offset);
                const auto stored = compact(encoder, row, kind.bits);
                const auto asked = compact(encoder, query, distance::bits_of_queries);
                const CompactHeader stored_header = distance::compact_header(stored.data());
                const CompactHeader asked_header = distance::compact_header(asked.data());
                // Without the means, which are not rounded.
                const double query_length =
                    std::sqrt(asked_header.square - dimensions * std::pow(asked_header.mean, 2));
                const double row_length =
                    std::sqrt(stored_header.square - dimensions * std::pow(stored_header.mean, 2));
                const double spread = std::hypot(query_length * double{stored_header.error},
                                                 row_length * double{asked_header.error}) /
                                      std::sqrt(dimensions);
                const double error =
                    (product(asked, stored, kind.element, dimensions) - exact_product(row, query)) /
                    spread;
                sum += error;
                squares += error * error;
                beyond += std::abs(error) > 3.5 ? 1 : 0;
            }
            EXPECT_LT(std::abs(sum / pairs), 0.2) << kind.bits << " bits, offset " << offset;
            EXPECT_LT(squares / pairs, 1.4) << kind.bits << " bits, offset " << offset;
            EXPECT_LE(beyond, 4) << kind.bits << " bits, offset " << offset;
        }
}

// What all have in common is in the means, and takes nothing of the steps.
TEST(CompactEncoderTest, TellsDistancesOfVectorsThatLieFarFromZero) {
    std::mt19937 random(7);
    constexpr std::size_t dimensions = 768;
    CompactEncoder encoder(dimensions);
    for (const Kind &kind : kinds)
        for (int i = 0; i < 20; ++i) {
            const auto row = random_vector(random, dimensions, 1000);
            const auto query = random_vector(random, dimensions, 1000);
            double exact = 0;
            for (std::size_t d = 0; d < dimensions; ++d)
                exact += std::pow(double{row[d]} - double{query[d]}, 2);
            const double told =
                double{distance::find_kernel(kind.element, Metric::l2_squared)
                           ->of_queries()
                           .distance(compact(encoder, query, 8).data(),
                                     compact(encoder, row, kind.bits).data(), dimensions)};
            EXPECT_NEAR(told, exact, 0.2 * exact) << kind.bits << " bits";
        }
}

TEST(CompactEncoderTest, MakesTheSameBytesOfTheSameVector) {
    std::mt19937 random(5);
    CompactEncoder one(100), other(100);
    const auto vector = random_vector(random, 100);
    for (const Kind &kind : kinds) {
        const auto first = compact(one, vector, kind.bits);
        compact(one, random_vector(random, 100), kind.bits);
        EXPECT_EQ(compact(one, vector, kind.bits), first);
        EXPECT_EQ(compact(other, vector, kind.bits), first);
    }
}

TEST(CompactEncoderTest, TakesHalvesAsTheNumbersTheyAre) {
    CompactEncoder encoder(70);
    std::vector<distance::Half> halves(70);
    std::vector<float> floats(70);
    for (std::size_t i = 0; i < floats.size(); ++i) {
        halves[i].bits = static_cast<std::uint16_t>(0x3000 + 37 * i);
        floats[i] = distance::widen(halves[i]);
    }
    for (const Kind &kind : kinds) {
        std::vector<unsigned char> out(distance::compact_bytes(kind.bits, 70));
        encoder.encode(halves.data(), Metric::l2_squared, kind.bits, out.data());
        EXPECT_EQ(out, compact(encoder, floats, kind.bits));
    }
}

TEST(CompactEncoderTest, TakesVectorsOfZerosAndOfOneNumber) {
    CompactEncoder encoder(64);
    for (const Kind &kind : kinds) {
        const auto zeros = compact(encoder, std::vector<float>(64), kind.bits);
        EXPECT_EQ(zeros, std::vector<unsigned char>(zeros.size()));
        const auto threes = compact(encoder, std::vector<float>(64, 3), kind.bits);
        const auto twos = compact(encoder, std::vector<float>(64, 2), distance::bits_of_queries);
        EXPECT_NEAR(product(twos, threes, kind.element, 64), 384, 1e-3);
    }
}

TEST(CompactEncoderTest, TakesWhateverFloatsHold) {
    std::mt19937 random(6);
    CompactEncoder encoder(96);
    for (const Kind &kind : kinds)
        for (const float scale : {1e-44f, 1e-30f, 1e30f, 3e37f}) {
            auto vector = random_vector(random, 96);
            for (float &element : vector)
                element *= scale;
            const auto made = compact(encoder, vector, kind.bits);
            const CompactHeader header = distance::compact_header(made.data());
            EXPECT_TRUE(std::isfinite(header.square) && std::isfinite(header.step) &&
                        std::isfinite(header.error) && std::isfinite(header.mean));
            // A vector is nearly in its own direction, however long it is.
            const float cosine = distance::find_kernel(kind.element, Metric::cosine)
                                     ->of_queries()
                                     .distance(compact(encoder, vector, 8).data(), made.data(), 96);
            EXPECT_LT(cosine, 0.1) << kind.bits << " bits, scale " << scale;
        }
}

}  // namespace
}  // namespace dvec::graph
