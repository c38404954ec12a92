// A fixed random rotation of vectors: the signs of what comes out of it tell of every vector as
// much as of every other, whatever its elements were (RaBitQ; Gao and Long, SIGMOD 2024). Two
// Hadamard transforms with random signs before them take the place of a random matrix.
#pragma once

#include <cstddef>
#include <vector>

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

}  // namespace dvec::graph
