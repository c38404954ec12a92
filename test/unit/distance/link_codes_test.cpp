// Sums of thirty-two codes, and what distances they tell, under every instruction set against those
// made one by one.
#include "engine/distance/link_codes.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "test/unit/distance/isa_test_case.hpp"

namespace dvec::distance {
namespace {

class LinkCodeSums : public IsaTestCase {
  protected:
    std::vector<unsigned char> random_bytes(std::size_t count, unsigned most) {
        std::vector<unsigned char> bytes(count);
        for (unsigned char &byte : bytes)
            byte = static_cast<unsigned char>(random_() % (most + 1));
        return bytes;
    }
    // Tables as the kernels want them: each of the sixteen values twice.
    std::vector<unsigned char> random_tables(std::size_t bytes, unsigned most) {
        std::vector<unsigned char> tables = random_bytes(2 * bytes * codes_at_once, most);
        for (std::size_t table = 0; table < tables.size(); table += codes_at_once)
            for (std::size_t value = 0; value < 16; ++value)
                tables[table + 16 + value] = tables[table + value];
        return tables;
    }

    std::mt19937_64 random_{7};
};

INSTANTIATE_TEST_SUITE_P(, LinkCodeSums, testing::ValuesIn(supported_isas()), isa_parameter_name);

TEST_P(LinkCodeSums, AreThoseOfTheBits) {
    for (const std::size_t bytes : {2u, 8u, 16u, 24u, 96u, 256u})
        for (const unsigned most : {1u, 20u, 127u}) {
            const auto codes = random_bytes(bytes * codes_at_once + 1, 255);
            const auto tables = random_tables(bytes, most);
            // Not aligned, since nobody promises that.
            const unsigned char *from = codes.data() + bytes % 16 / 8;
            std::array<std::uint16_t, codes_at_once> sums{};
            link_code_kernels().sums(from, tables.data(), bytes, sums.data());
            for (std::size_t code = 0; code < codes_at_once; ++code) {
                unsigned expected = 0;
                for (std::size_t byte = 0; byte < bytes; ++byte) {
                    const unsigned bits = from[byte * codes_at_once + code];
                    expected += tables[codes_at_once * byte + bits % 16];
                    expected += tables[codes_at_once * (bytes + byte) + bits / 16];
                }
                ASSERT_EQ(sums[code], expected) << bytes << " bytes, code " << code;
            }
        }
}

TEST_P(LinkCodeSums, TellDistances) {
    std::array<std::uint16_t, codes_at_once> sums{};
    std::array<float, 2 * codes_at_once> numbers{};
    for (std::size_t code = 0; code < codes_at_once; ++code) {
        sums[code] = static_cast<std::uint16_t>(code == 3 ? 65535 : random_() % 65536);
        numbers[code] = static_cast<float>(random_() % 1000) / 64 - 7;
        numbers[codes_at_once + code] = -static_cast<float>(random_() % 1000) / 4096;
    }
    const LinkCodeTerms terms{2.5f, 0.75f, -3.0f, 0.001f};
    numbers[9] = std::numeric_limits<float>::quiet_NaN();
    std::array<float, codes_at_once> distances{};
    link_code_kernels().distances(sums.data(), numbers.data(), terms, distances.data());
    for (std::size_t code = 0; code < codes_at_once; ++code) {
        const double expected = 2.5 + 0.75 * numbers[code] +
                                numbers[codes_at_once + code] * (-3.0 + 0.001 * sums[code]);
        if (code == 9)
            EXPECT_EQ(distances[code], -std::numeric_limits<float>::infinity());
        else
            EXPECT_NEAR(distances[code], expected, 1e-4) << code;
    }
}

}  // namespace
}  // namespace dvec::distance
