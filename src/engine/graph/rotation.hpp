// A fixed random rotation of vectors: the signs of what comes out of it tell of every vector as
// much as of every other, whatever its elements were (RaBitQ; Gao and Long, SIGMOD 2024). Two
// Hadamard transforms with random signs before them take the place of a random matrix.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "engine/distance/kernel.hpp"

namespace dvec::graph {

class Rotation {
  public:
    Rotation() = default;
    explicit Rotation(std::size_t dimensions);

    // How many elements come out: the dimensions, rounded up to a multiple of 64.
    std::size_t width() const noexcept { return width_; }
    // In place. There are width() elements, those behind the dimensions 0.
    void turn(float *vector) const noexcept;

  private:
    std::size_t width_ = 0;
    std::vector<float> signs_;  // of both transforms, one behind the other
};

// The sum of the products of two vectors' elements, for use beside rotations: in any order.
float product(const float *a, const float *b, std::size_t count) noexcept;

// Brings the vector to length one where only its direction counts. False where squares of it are
// too near to the limits of floats.
bool make_fit_to_turn(float *vector, std::size_t dimensions, distance::Metric metric) noexcept;

// What the signs of a turned vector say of it.
struct Signs {
    float square;      // of its length
    float projection;  // of it on the signs, so that estimates by them are right on average
};
// Calls put(number, byte) with the signs of each eight of its `width` elements, a bit for each that
// is above 0, the first lowest.
template <class Put>
Signs take_signs(const float *turned, std::size_t width, Put put) noexcept {
    float square = 0, sum = 0;
    for (std::size_t i = 0; i < width; ++i) {
        square += turned[i] * turned[i];
        sum += std::fabs(turned[i]);
    }
    for (std::size_t number = 0; number < width / 8; ++number) {
        unsigned byte = 0;
        for (unsigned i = 0; i < 8; ++i)
            byte |= (turned[8 * number + i] > 0 ? 1u : 0u) << i;
        put(number, static_cast<unsigned char>(byte));
    }
    return {square, sum > 0 ? square / sum : 0};
}

}  // namespace dvec::graph
