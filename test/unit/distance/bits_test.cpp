// Kernels on bit strings against counting bit by bit.
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

#include "engine/distance/bits.hpp"
#include "engine/distance/isa.hpp"
#include "engine/distance/kernel.hpp"
#include "fenced.hpp"
#include "isa_test_case.hpp"

namespace dvec::distance {
namespace {

using Bytes = std::vector<unsigned char>;

// Every remainder of every loop, several registers' worth, and the longest an index takes.
std::vector<std::size_t> tested_bit_lengths() {
    std::vector<std::size_t> lengths;
    for (std::size_t length = 0; length <= 1100; ++length) {
        lengths.push_back(length);
    }
    for (const std::size_t length : {1536, 4096, 64000, 64007, 512000}) {
        lengths.push_back(length);
    }
    return lengths;
}

// In SQL's order, the first bit highest; what belongs to no bit is 0.
Bytes random_bits(std::size_t bits, std::mt19937 &random) {
    Bytes bytes((bits + 7) / 8);
    for (std::size_t i = 0; i < bits; ++i) {
        bytes[i / 8] |= static_cast<unsigned char>((random() & 1) << (7 - i % 8));
    }
    return bytes;
}

bool is_set(const Bytes &bytes, std::size_t i) { return (bytes[i / 8] >> (7 - i % 8) & 1) != 0; }

struct Counts {
    std::uint64_t differing = 0;
    std::uint64_t both = 0;
    std::uint64_t either = 0;
};

Counts count_one_by_one(const Bytes &a, const Bytes &b, std::size_t bits) {
    Counts counts;
    for (std::size_t i = 0; i < bits; ++i) {
        counts.differing += is_set(a, i) != is_set(b, i);
        counts.both += is_set(a, i) && is_set(b, i);
        counts.either += is_set(a, i) || is_set(b, i);
    }
    return counts;
}

class BitKernelsOf : public IsaTestCase {};

INSTANTIATE_TEST_SUITE_P(, BitKernelsOf, testing::ValuesIn(supported_isas()), isa_parameter_name);

TEST_P(BitKernelsOf, CountsAreExact) {
    std::mt19937 random(31);
    for (const std::size_t bits : tested_bit_lengths()) {
        const Bytes a = random_bits(bits, random);
        const Bytes b = random_bits(bits, random);
        const Counts expected = count_one_by_one(a, b, bits);
        const BitOverlap overlap = bit_overlap(a.data(), b.data(), bits);
        EXPECT_EQ(hamming_distance(a.data(), b.data(), bits), expected.differing) << bits;
        EXPECT_EQ(overlap.both, expected.both) << bits;
        EXPECT_EQ(overlap.either, expected.either) << bits;
        EXPECT_EQ(hamming_distance(a.data(), a.data(), bits), 0U) << bits;
    }
}

// A count of a whole register must not overflow a lane.
TEST_P(BitKernelsOf, AllOnesAreCounted) {
    const Bytes ones(64000, 0xff);
    const Bytes zeros(64000, 0);
    EXPECT_EQ(hamming_distance(ones.data(), zeros.data(), 512000), 512000U);
    EXPECT_EQ(bit_overlap(ones.data(), ones.data(), 512000).both, 512000U);
    EXPECT_EQ(bit_overlap(ones.data(), zeros.data(), 512000).either, 512000U);
}

TEST_P(BitKernelsOf, RowsAreTheCountsAsFloats) {
    const Kernel *hamming = find_kernel(Element::bit, Metric::hamming);
    const Kernel *jaccard = find_kernel(Element::bit, Metric::jaccard);
    ASSERT_TRUE(hamming != nullptr && jaccard != nullptr);
    std::mt19937 random(32);
    for (const std::size_t bits : tested_bit_lengths()) {
        const Bytes query = random_bits(bits, random);
        Bytes strings[4];
        const void *vectors[4];
        for (std::size_t i = 0; i < 4; ++i) {
            strings[i] = random_bits(bits, random);
            vectors[i] = strings[i].data();
        }
        float by_hamming[4];
        float by_jaccard[4];
        hamming->four_distances(query.data(), vectors, bits, by_hamming);
        jaccard->four_distances(query.data(), vectors, bits, by_jaccard);
        for (std::size_t i = 0; i < 4; ++i) {
            const BitOverlap overlap = bit_overlap(query.data(), vectors[i], bits);
            EXPECT_EQ(by_hamming[i], hamming_distance(query.data(), vectors[i], bits)) << bits;
            EXPECT_EQ(by_jaccard[i], static_cast<float>(jaccard_distance(overlap))) << bits;
            EXPECT_EQ(hamming->distance(query.data(), vectors[i], bits), by_hamming[i]);
            EXPECT_EQ(jaccard->distance(query.data(), vectors[i], bits), by_jaccard[i]);
        }
    }
}

TEST_P(BitKernelsOf, NothingBeforeOrBehindAStringIsRead) {
    const Fenced<unsigned char> a(64000, 0xff);
    const Fenced<unsigned char> b(64000, 0xff);
    for (std::size_t bytes = 0; bytes < 300; ++bytes) {
        for (const unsigned char *left : {a.first(), a.last(bytes)}) {
            for (const unsigned char *right : {b.first(), b.last(bytes)}) {
                EXPECT_EQ(hamming_distance(left, right, 8 * bytes), 0U);
                EXPECT_EQ(bit_overlap(left, right, 8 * bytes).both, 8 * bytes);
            }
        }
    }
}

TEST(Jaccard, IsOneWhereNothingIsShared) {
    EXPECT_EQ(jaccard_distance({0, 0}), 1);
    EXPECT_EQ(jaccard_distance({0, 5}), 1);
    EXPECT_EQ(jaccard_distance({5, 5}), 0);
    EXPECT_EQ(jaccard_distance({3, 4}), 0.25);
}

}  // namespace
}  // namespace dvec::distance
