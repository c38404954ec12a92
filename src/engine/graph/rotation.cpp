// Signs and transforms.
#include "engine/graph/rotation.hpp"

#include <bit>
#include <cmath>
#include <cstdint>

#include "engine/graph/mixed_bits.hpp"

namespace dvec::graph {

namespace {

constexpr std::size_t bits_of_word = 64;

// A fixed random word for each number.
std::uint64_t scattered(std::uint64_t number) { return mixed_bits((number + 1) * mixed_bits_step); }

// Four numbers at once, which every processor that is served adds in one instruction.
using Four = float __attribute__((vector_size(16), aligned(4), may_alias));
Four four(const float *at) { return *reinterpret_cast<const Four *>(at); }

// Multiplies by the Hadamard matrix of this size, a power of two and 8 at least, scaled to be a
// rotation.
void hadamard(float *vector, std::size_t size) noexcept {
    const float scale = 1 / std::sqrt(static_cast<float>(size));
    for (std::size_t i = 0; i < size; i += 4) {
        const float a = (vector[i] + vector[i + 1]) * scale;
        const float b = (vector[i] - vector[i + 1]) * scale;
        const float c = (vector[i + 2] + vector[i + 3]) * scale;
        const float d = (vector[i + 2] - vector[i + 3]) * scale;
        vector[i] = a + c;
        vector[i + 1] = b + d;
        vector[i + 2] = a - c;
        vector[i + 3] = b - d;
    }
    for (std::size_t half = 4; half < size; half *= 2)
        for (std::size_t begin = 0; begin < size; begin += 2 * half)
            for (std::size_t i = begin; i < begin + half; i += 4) {
                auto &first = *reinterpret_cast<Four *>(vector + i);
                auto &second = *reinterpret_cast<Four *>(vector + i + half);
                const Four sum = first + second;
                second = first - second;
                first = sum;
            }
}

}  // namespace

Rotation::Rotation(std::size_t dimensions)
    : width_((dimensions + bits_of_word - 1) / bits_of_word * bits_of_word), signs_(2 * width_) {
    for (std::size_t i = 0; i < signs_.size(); ++i)
        signs_[i] = (scattered(i) & 1) != 0 ? 1.0f : -1.0f;
}

// Where the width is no power of two, the two transforms overlap and take in everything together.
void Rotation::turn(float *vector) const noexcept {
    const std::size_t part = std::bit_floor(width_);
    for (std::size_t i = 0; i < width_; ++i)
        vector[i] *= signs_[i];
    hadamard(vector, part);
    for (std::size_t i = 0; i < width_; ++i)
        vector[i] *= signs_[width_ + i];
    hadamard(vector + width_ - part, part);
}

float product(const float *a, const float *b, std::size_t count) noexcept {
    Four first{}, second{};
    std::size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        first += four(a + i) * four(b + i);
        second += four(a + i + 4) * four(b + i + 4);
    }
    first += second;
    float sum = (first[0] + first[2]) + (first[1] + first[3]);
    for (; i < count; ++i)
        sum += a[i] * b[i];
    return sum;
}

bool make_fit_to_turn(float *vector, std::size_t dimensions, distance::Metric metric) noexcept {
    constexpr float greatest = 1e15f, least = 1e-15f;
    const bool directed = metric == distance::Metric::cosine;
    const float square = product(vector, vector, dimensions);
    if (!(square <= greatest) || (directed && square < least))
        return false;
    if (directed) {
        const float inverse = 1 / std::sqrt(square);
        for (std::size_t i = 0; i < dimensions; ++i)
            vector[i] *= inverse;
    }
    return true;
}

}  // namespace dvec::graph
