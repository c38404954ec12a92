// The tests of 64 keys under every instruction set against what they say, key by key.
#include "engine/distance/keys.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <random>
#include <utility>

#include "test/unit/distance/isa_test_case.hpp"

namespace dvec::distance {
namespace {

constexpr std::uint64_t greatest = std::numeric_limits<std::uint64_t>::max();
using Keys = std::array<std::uint64_t, 65>;

class KeyTests : public IsaTestCase {
  protected:
    // Small ones, ends of the range, and the borders at which a comparison of numbers with signs
    // would go wrong.
    std::uint64_t random_key() {
        switch (random_() % 5) {
            case 0:
                return random_() % 8;
            case 1:
                return greatest - random_() % 4;
            case 2:
                return (std::uint64_t{1} << 63) + random_() % 4 - 2;
            case 3:
                return random_() & random_();
            default:
                return random_();
        }
    }
    Keys random_keys() {
        Keys keys;
        for (std::uint64_t &key : keys)
            key = random_key();
        return keys;
    }

    std::mt19937_64 random_{99};
};

INSTANTIATE_TEST_SUITE_P(, KeyTests, testing::ValuesIn(supported_isas()), isa_parameter_name);

TEST_P(KeyTests, RangesAreThoseOfNumbersWithoutSigns) {
    for (int i = 0; i < 5000; ++i) {
        const Keys keys = random_keys();
        const std::uint64_t *from = keys.data() + i % 2;
        std::uint64_t first = i % 3 == 0 ? keys[random_() % 64] : random_key();
        std::uint64_t last = i % 5 == 0 ? first : random_key();
        if (last < first)
            std::swap(first, last);
        const std::uint64_t word = key_kernels().within(from, first, last - first);
        for (unsigned bit = 0; bit < 64; ++bit)
            ASSERT_EQ(word >> bit & 1, first <= from[bit] && from[bit] <= last)
                << first << ", " << last << ": " << from[bit];
    }
}

TEST_P(KeyTests, MasksLookAtTheirBitsAndNeverAdmitTheGreatestKey) {
    for (int i = 0; i < 5000; ++i) {
        const Keys keys = random_keys();
        const std::uint64_t *from = keys.data() + i % 2;
        const std::uint64_t mask = i % 3 == 0 ? keys[random_() % 64] & random_() : random_key();
        for (const bool all : {true, false}) {
            const std::uint64_t cared_for = all ? mask : ~mask;
            const std::uint64_t wanted = all ? mask : 0;
            const std::uint64_t word = key_kernels().matching(from, cared_for, wanted);
            for (unsigned bit = 0; bit < 64; ++bit)
                ASSERT_EQ(word >> bit & 1,
                          (from[bit] & cared_for) == wanted && from[bit] != greatest)
                    << cared_for << ", " << wanted << ": " << from[bit];
        }
    }
}

}  // namespace
}  // namespace dvec::distance
