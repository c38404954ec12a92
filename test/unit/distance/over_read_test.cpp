// The kernels read exactly the bytes of their vectors: an index slot may be the last of its mapping
// and a heap tuple the last of its page, so one byte too many can be a crash.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <stdexcept>

#include "engine/distance/isa.hpp"
#include "engine/distance/kernel.hpp"
#include "isa_test_case.hpp"
#include "measurement.hpp"

namespace dvec::distance {
namespace {

// Readable memory between two pages that fault when touched.
class FencedFloats {
  public:
    explicit FencedFloats(std::size_t count) {
        const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        const std::size_t bytes = (count * sizeof(float) + page - 1) / page * page;
        mapped_bytes_ = bytes + 2 * page;
        mapping_ = mmap(nullptr, mapped_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapping_ == MAP_FAILED) {
            throw std::runtime_error("mmap failed");
        }
        char *readable = static_cast<char *>(mapping_) + page;
        if (mprotect(readable, bytes, PROT_READ | PROT_WRITE) != 0) {
            throw std::runtime_error("mprotect failed");
        }
        begin_ = reinterpret_cast<float *>(readable);
        end_ = begin_ + bytes / sizeof(float);
        std::fill(begin_, end_, 1.0F);
    }

    FencedFloats(const FencedFloats &) = delete;
    FencedFloats &operator=(const FencedFloats &) = delete;

    ~FencedFloats() { munmap(mapping_, mapped_bytes_); }

    const float *first() const { return begin_; }

    const float *last(std::size_t count) const { return end_ - count; }

  private:
    void *mapping_ = nullptr;
    std::size_t mapped_bytes_ = 0;
    float *begin_ = nullptr;
    float *end_ = nullptr;
};

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
    const FencedFloats a(16000);
    const FencedFloats b(16000);
    for (const std::size_t dimensions : tested_lengths()) {
        expect_ones(measure(a.last(dimensions), b.last(dimensions), dimensions), dimensions);
        expect_ones_by_four(a.last(dimensions), b.last(dimensions), dimensions);
    }
}

TEST_P(OverRead, NothingBeforeAVectorIsRead) {
    const FencedFloats a(16000);
    const FencedFloats b(16000);
    for (const std::size_t dimensions : tested_lengths()) {
        expect_ones(measure(a.first(), b.first(), dimensions), dimensions);
        expect_ones_by_four(a.first(), b.first(), dimensions);
    }
}

}  // namespace
}  // namespace dvec::distance
