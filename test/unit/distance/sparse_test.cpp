// Kernels on sparse vectors against the same sums over all dimensions.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "engine/distance/kernel.hpp"
#include "engine/distance/sparse.hpp"

namespace dvec::distance {
namespace {

using Elements = std::map<std::int32_t, float>;  // by index, as a sparse vector has them

constexpr std::size_t dimensions = 5000;

// A slot's bytes, in words for their alignment.
std::vector<std::uint32_t> encoded(const Elements &elements, std::size_t of_dimensions) {
    std::vector<std::uint32_t> words(sparse_bytes(indexed_capacity(of_dimensions)) / 4);
    words[0] = static_cast<std::uint32_t>(elements.size());
    std::size_t i = 2;
    for (const auto &[index, value] : elements) {
        words[i] = static_cast<std::uint32_t>(index);
        std::memcpy(&words[i + elements.size()], &value, sizeof(value));
        ++i;
    }
    return words;
}

struct Sums {
    double l2 = 0;
    double dot = 0;
    double l1 = 0;
};

Sums sums_over_all(const Elements &a, const Elements &b) {
    const auto at = [](const Elements &elements, std::int32_t index) -> double {
        const auto found = elements.find(index);
        return found == elements.end() ? 0 : found->second;
    };
    Sums sums;
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(dimensions); ++i) {
        const double x = at(a, i);
        const double y = at(b, i);
        sums.l2 += (x - y) * (x - y);
        sums.dot += x * y;
        sums.l1 += std::abs(x - y);
    }
    return sums;
}

// Whole numbers, so that sums are exact. Indices are drawn from the first `range`: a small one
// gives many in common.
Elements random_elements(std::size_t count, int range, std::mt19937 &random) {
    std::uniform_int_distribution<std::int32_t> index(0, range - 1);
    std::uniform_int_distribution<int> value(1, 9);
    Elements elements;
    while (elements.size() < count) {
        elements[index(random)] =
            static_cast<float>((random() & 1) ? value(random) : -value(random));
    }
    return elements;
}

void expect_exact(const Elements &a, const Elements &b) {
    const Sums expected = sums_over_all(a, b);
    const auto left = encoded(a, dimensions);
    const auto right = encoded(b, dimensions);
    const std::pair<Metric, double> rows[] = {{Metric::l2_squared, expected.l2},
                                              {Metric::inner_product, -expected.dot},
                                              {Metric::l1, expected.l1}};
    for (const auto &[metric, distance] : rows) {
        const Kernel *row = find_kernel(Element::sparse_float32, metric);
        ASSERT_NE(row, nullptr);
        EXPECT_EQ(row->distance(left.data(), right.data(), dimensions), distance) << row->name;
        EXPECT_EQ(row->distance(right.data(), left.data(), dimensions), distance) << row->name;
        const void *const vectors[4] = {right.data(), left.data(), right.data(), left.data()};
        float distances[4];
        row->four_distances(left.data(), vectors, dimensions, distances);
        EXPECT_EQ(distances[0], distance);
        EXPECT_EQ(distances[1], row->distance(left.data(), left.data(), dimensions));
        EXPECT_EQ(distances[2], distance);
    }
}

TEST(Sparse, SumsAreThoseOverAllDimensions) {
    std::mt19937 random(41);
    for (const std::size_t left : {0, 1, 2, 7, 100, 1000}) {
        for (const std::size_t right : {0, 1, 3, 50, 999, 1000}) {
            for (const int range : {1000, 1500, 5000}) {
                expect_exact(random_elements(left, range, random),
                             random_elements(right, range, random));
            }
        }
    }
}

TEST(Sparse, IndicesThatInterleaveAndThoseThatDoNot) {
    expect_exact({{0, 1}, {2, 3}, {4, 5}}, {{1, 2}, {3, 4}, {5, 6}});
    expect_exact({{0, 1}, {1, 2}}, {{4998, 3}, {4999, 4}});
    expect_exact({{4999, 1}}, {{0, 2}, {4999, 3}});
    expect_exact({{7, 1}}, {{7, 1}});
}

TEST(Sparse, AVectorOfZerosIsEightBytesOfZero) {
    const auto zeros = encoded({}, dimensions);
    const auto other = encoded({{3, 2}, {9, -4}}, dimensions);
    EXPECT_EQ(SparseView::of(zeros.data(), 1000).count, 0U);
    EXPECT_EQ(find_kernel(Element::sparse_float32, Metric::l1)
                  ->distance(zeros.data(), other.data(), dimensions),
              6);
}

// A damaged count must not lead out of the slot.
TEST(Sparse, ACountBeyondTheSlotIsCut) {
    std::vector<std::uint32_t> damaged(sparse_bytes(indexed_capacity(3)) / 4);
    damaged[0] = 0xffffffff;
    EXPECT_EQ(SparseView::of(damaged.data(), indexed_capacity(3)).count, 3U);
    const auto sound = encoded({{1, 2}}, 3);
    for (const Metric metric : {Metric::l2_squared, Metric::inner_product, Metric::l1}) {
        const Kernel *row = find_kernel(Element::sparse_float32, metric);
        (void)row->distance(damaged.data(), sound.data(), 3);
        (void)row->distance(sound.data(), damaged.data(), 3);
    }
}

}  // namespace
}  // namespace dvec::distance
