// The kernels read exactly the bytes of their vectors: an index slot may be the last of its mapping
// and a heap tuple the last of its page, so one byte too many can be a crash.
#include <gtest/gtest.h>

#include <cstddef>

#include "engine/distance/code.hpp"
#include "engine/distance/isa.hpp"
#include "engine/distance/kernel.hpp"
#include "fenced.hpp"
#include "isa_test_case.hpp"
#include "measurement.hpp"

namespace dvec::distance {
namespace {

class OverRead : public IsaTestCase {};

INSTANTIATE_TEST_SUITE_P(, OverRead, testing::ValuesIn(supported_isas()), isa_parameter_name);

void expect_ones(const Measurement &measured, std::size_t dimensions) {
    const float n = static_cast<float>(dimensions);
    const float expected[float_sums] = {0, n, 0, n, n, n};
    for (std::size_t sum = 0; sum < float_sums; ++sum) {
        EXPECT_EQ(measured.sums[sum], expected[sum])
            << float_sum_names[sum] << " of " << dimensions;
    }
    EXPECT_EQ(measured.squared_norm, n);
}

void expect_ones_by_four(const float *a, const float *b, std::size_t dimensions) {
    const Kernel *row = find_kernel(Element::float32, Metric::inner_product);
    ASSERT_NE(row, nullptr);
    const void *const vectors[4] = {b, a, b, a};
    float distances[4];
    row->four_distances(a, vectors, dimensions, distances);
    for (const float distance : distances) {
        EXPECT_EQ(distance, -static_cast<float>(dimensions));
    }
}

TEST_P(OverRead, NothingBehindAVectorIsRead) {
    const Fenced<float> a(16000, 1.0F);
    const Fenced<float> b(16000, 1.0F);
    for (const std::size_t dimensions : tested_lengths()) {
        expect_ones(measure(a.last(dimensions), b.last(dimensions), dimensions), dimensions);
        expect_ones_by_four(a.last(dimensions), b.last(dimensions), dimensions);
    }
}

TEST_P(OverRead, NothingBeforeAVectorIsRead) {
    const Fenced<float> a(16000, 1.0F);
    const Fenced<float> b(16000, 1.0F);
    for (const std::size_t dimensions : tested_lengths()) {
        expect_ones(measure(a.first(), b.first(), dimensions), dimensions);
        expect_ones_by_four(a.first(), b.first(), dimensions);
    }
}

// The codes are of zeros.
void expect_squares_of_ones(const float *query, const unsigned char *code, std::size_t dimensions) {
    const Kernel *row = find_kernel(Element::float32, Metric::l2_squared);
    ASSERT_TRUE(row != nullptr && row->code_distance != nullptr);
    const float expected = static_cast<float>(dimensions);
    EXPECT_EQ(row->code_distance(query, code, dimensions), expected);
    const void *const codes[4] = {code, code, code, code};
    float distances[4];
    row->four_code_distances(query, codes, dimensions, distances);
    for (const float distance : distances) {
        EXPECT_EQ(distance, expected);
    }
}

TEST_P(OverRead, NothingOutsideACodeAndItsQueryIsRead) {
    const Fenced<float> query(16000, 1.0F);
    const Fenced<unsigned char> code(code_bytes(16000), 0);
    for (const std::size_t dimensions : tested_lengths()) {
        expect_squares_of_ones(query.last(dimensions), code.last(code_bytes(dimensions)),
                               dimensions);
        expect_squares_of_ones(query.first(), code.first(), dimensions);
    }
}

}  // namespace
}  // namespace dvec::distance
