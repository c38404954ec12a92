// Kernels on sparse vectors against the same sums over all dimensions.
#include <gtest/gtest.h>

#include <algorithm>
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
    std::vector<std::uint32_t> words(
        sparse_bytes(indexed_capacity(Element::sparse_float32, of_dimensions)) / 4);
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
    std::vector<std::uint32_t> damaged(sparse_bytes(indexed_capacity(Element::sparse_float32, 3)) /
                                       4);
    damaged[0] = 0xffffffff;
    EXPECT_EQ(SparseView::of(damaged.data(), indexed_capacity(Element::sparse_float32, 3)).count,
              3U);
    const auto sound = encoded({{1, 2}}, 3);
    for (const Metric metric : {Metric::l2_squared, Metric::inner_product, Metric::l1}) {
        const Kernel *row = find_kernel(Element::sparse_float32, metric);
        (void)row->distance(damaged.data(), sound.data(), 3);
        (void)row->distance(sound.data(), damaged.data(), 3);
    }
}

// A value's bytes, as queries and tables have them.
std::vector<std::uint32_t> run_of(const Elements &elements) {
    std::vector<std::uint32_t> words(sparse_bytes(elements.size()) / 4);
    const auto whole = encoded(elements, elements.size());
    std::copy_n(whole.begin(), words.size(), words.begin());
    return words;
}

// What a slot with room for `capacity` elements has of it.
std::vector<std::uint32_t> stored(const Elements &elements, Metric metric, std::size_t capacity) {
    const auto run = run_of(elements);
    std::vector<std::uint32_t> words(sparse_bytes(capacity) / 4, 0xffffffff);
    write_sparse(SparseView::of(run.data(), elements.size()), metric, capacity, words.data());
    EXPECT_EQ(words[0], elements.size());
    return words;
}

constexpr Metric metrics[] = {Metric::l2_squared, Metric::inner_product, Metric::l1,
                              Metric::cosine};

// By the formulas that all vectors are measured by.
double exact(const Elements &a, const Elements &b, Metric metric) {
    const Sums sums = sums_over_all(a, b);
    if (metric == Metric::l2_squared)
        return sums.l2;
    if (metric == Metric::inner_product)
        return -sums.dot;
    if (metric == Metric::l1)
        return sums.l1;
    return 1 - sums.dot / std::sqrt(sums_over_all(a, a).dot * sums_over_all(b, b).dot);
}

TEST(SparseRooms, EveryNumberOfElementsHasTheLeastRoomForIt) {
    for (std::size_t elements = 1; elements <= 16000; ++elements) {
        const Element element = element_with_room(elements);
        EXPECT_TRUE(may_be_cut(element));
        EXPECT_GE(sparse_room(element), elements);
        for (const SparseRoom &room : sparse_rooms)
            EXPECT_FALSE(room.elements >= elements && room.elements < sparse_room(element));
    }
    EXPECT_FALSE(may_be_cut(Element::sparse_float32));
    EXPECT_EQ(sparse_room(Element::float32), 0U);
}

TEST(SparseRooms, VectorsThatFitAreMeasuredAsInAWiderSlot) {
    std::mt19937 random(43);
    for (const SparseRoom &room : sparse_rooms) {
        const std::size_t capacity = indexed_capacity(room.element, dimensions);
        for (const Metric metric : metrics) {
            const Kernel *wide = find_kernel(Element::sparse_float32, metric);
            const Kernel *row = find_kernel(room.element, metric);
            ASSERT_NE(row, nullptr);
            ASSERT_EQ(row->vector_bytes(dimensions), sparse_bytes(capacity));
            const std::size_t most = std::min<std::size_t>(capacity, 1000);
            for (const std::size_t count : {std::size_t{1}, most / 2, most}) {
                const Elements a = random_elements(count, 2000, random);
                const Elements b = random_elements(most, 2000, random);
                const auto narrow_a = stored(a, metric, capacity);
                const auto narrow_b = stored(b, metric, capacity);
                const auto wide_a = stored(a, metric, 1000);
                const auto wide_b = stored(b, metric, 1000);
                EXPECT_EQ(row->distance(narrow_a.data(), narrow_b.data(), dimensions),
                          wide->distance(wide_a.data(), wide_b.data(), dimensions));
                EXPECT_EQ(most_overlooked(wide_a.data(), narrow_b.data(), *row, dimensions), 0);
            }
        }
    }
}

TEST(SparseRooms, AQueryMayHaveMoreElementsThanRows) {
    std::mt19937 random(44);
    const Elements query = random_elements(1000, 3000, random);
    const Elements row = random_elements(16, 3000, random);
    for (const Metric metric : metrics) {
        const Kernel kernel = find_kernel(Element::sparse_16, metric)->of_queries();
        EXPECT_EQ(kernel.query_bytes(dimensions), sparse_bytes(1000));
        const auto asked = stored(query, metric, 1000);
        const auto found = stored(row, metric, 16);
        EXPECT_NEAR(kernel.whole_distance(asked.data(), found.data(), dimensions),
                    exact(query, row, metric), metric == Metric::cosine ? 1e-6 : 0);
        float distances[4];
        const void *const four[4] = {found.data(), found.data(), found.data(), found.data()};
        kernel.four_distances(asked.data(), four, dimensions, distances);
        EXPECT_EQ(distances[3], kernel.distance(asked.data(), found.data(), dimensions));
    }
}

// What a slot keeps is the greatest by magnitude, the first of those that are equal.
TEST(SparseRooms, ACutVectorKeepsItsGreatestElements) {
    Elements elements;
    for (std::int32_t i = 0; i < 40; ++i)
        elements[10 * i] = i % 10 == 3 ? -9.0f : static_cast<float>(i % 5 + 1);
    const auto slot = stored(elements, Metric::l1, 16);
    const SparseView view = SparseView::of(slot.data(), 16);
    ASSERT_EQ(view.count, 16U);
    EXPECT_TRUE(std::is_sorted(view.indices, view.indices + 16));
    double kept = 0;
    for (std::size_t i = 0; i < 16; ++i) {
        EXPECT_EQ(elements.at(view.indices[i]), view.values[i]);
        EXPECT_GE(std::fabs(view.values[i]), 4);
        kept += std::fabs(view.values[i]);
    }
    double all = 0;
    for (const auto &[index, value] : elements)
        all += std::fabs(value);
    EXPECT_EQ(reinterpret_cast<const SparseHead *>(slot.data())->norm, all - kept);
}

// The bounds by which rows are put into exact order.
TEST(SparseRooms, NothingIsNearerThanWhatWasLeftOutAllows) {
    std::mt19937 random(45);
    for (int round = 0; round < 200; ++round) {
        // Small ranges give many elements in common.
        const int range = round % 2 == 0 ? 300 : 3000;
        const Elements query = random_elements(static_cast<std::size_t>(1 + round), range, random);
        const Elements row = random_elements(60, range, random);
        for (const Metric metric : metrics) {
            const Kernel kernel = find_kernel(Element::sparse_32, metric)->of_queries();
            const auto asked = stored(query, metric, 1000);
            const auto found = stored(row, metric, 32);
            const double told = kernel.whole_distance(asked.data(), found.data(), dimensions);
            const double overlooked =
                most_overlooked(asked.data(), found.data(), kernel, dimensions);
            const bool twice = metric == Metric::l2_squared || metric == Metric::l1;
            const double distance = exact(query, row, metric);
            EXPECT_GE(distance, told - (twice ? 2 : 1) * overlooked - 1e-4 * (1 + std::fabs(told)));
            EXPECT_LE(distance, told + (twice ? 2 : 1) * overlooked + 1e-4 * (1 + std::fabs(told)));
        }
    }
}

TEST(SparseRooms, ACutVectorIsAtDistanceZeroFromItself) {
    std::mt19937 random(46);
    const Elements elements = random_elements(100, 3000, random);
    for (const Metric metric : {Metric::l2_squared, Metric::l1}) {
        const auto slot = stored(elements, metric, 64);
        EXPECT_EQ(
            find_kernel(Element::sparse_64, metric)->distance(slot.data(), slot.data(), dimensions),
            0);
        EXPECT_GT(reinterpret_cast<const SparseHead *>(slot.data())->norm, 0);
    }
}

}  // namespace
}  // namespace dvec::distance
