// Makes compact vectors (distance/compact.hpp) of vectors of one number of dimensions.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/distance/compact.hpp"
#include "engine/distance/half.hpp"
#include "engine/graph/rotation.hpp"

namespace dvec::graph {

class CompactEncoder {
  public:
    explicit CompactEncoder(std::size_t dimensions);

    // Writes compact_bytes(bits, dimensions) to `out`, wherever that lies; `bits` are 8, 4 or 1.
    // All elements must be finite. The same bytes for the same vector: nothing is learned from
    // others. A vector of zeros becomes zeros. Not for two threads at once.
    void encode(const float *vector, distance::Metric metric, unsigned bits, void *out);
    void encode(const distance::Half *vector, distance::Metric metric, unsigned bits, void *out);

  private:
    struct Grid {
        double step = 0;   // such that products with the vector are right on average, or that the
                           // error is least
        double error = 0;  // distance from what is rounded
    };

    template <class Scalar>
    void encode_elements(const Scalar *vector, distance::Metric metric, unsigned bits, void *out);
    template <class Scalar>
    double take_rest(const Scalar *vector, distance::CompactHeader &header);
    enum class Wanted : unsigned char { products, elements };
    Grid choose_grid(Wanted wanted, unsigned bits);
    void round_to(float step, unsigned bits);
    Grid grid_of_steps(Wanted wanted, unsigned bits) const;
    void write_steps(unsigned bits, unsigned char *out) const;

    const std::size_t dimensions_;
    const Rotation rotation_;
    std::vector<float> turned_;
    std::vector<unsigned char> steps_;  // a byte each
};

}  // namespace dvec::graph
