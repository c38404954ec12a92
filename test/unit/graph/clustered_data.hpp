// Deterministic vectors that look like embeddings: clusters of unequal size, each spread over a
// subspace of few dimensions. Uniform random vectors would make every graph look bad and every
// search alike.
#pragma once

#include <cstddef>
#include <random>
#include <vector>

namespace dvec::graph {

struct ClusteredShape {
    std::size_t dimensions = 128;
    std::size_t clusters = 100;
    std::size_t intrinsic = 16;  // dimensions within a cluster
    float noise = 0.05f;         // in every dimension, beside a spread of 1 within the cluster
};

class ClusteredData {
  public:
    using Shape = ClusteredShape;

    explicit ClusteredData(std::uint64_t seed, Shape shape = {}) : shape_(shape), random_(seed) {
        // The clusters are the same for every seed, so that queries of one seed belong to data of
        // another.
        std::mt19937_64 fixed(4711);
        std::normal_distribution<float> normal;
        centres_.resize(shape.clusters * shape.dimensions);
        for (float &x : centres_)
            x = 1.5f * normal(fixed) / 4;
        axes_.resize(shape.clusters * shape.intrinsic * shape.dimensions);
        for (float &x : axes_)
            x = normal(fixed) / 4;
    }

    // `count` vectors of shape.dimensions floats, one after another.
    std::vector<float> make(std::size_t count) {
        std::vector<float> vectors(count * shape_.dimensions);
        for (std::size_t i = 0; i < count; ++i)
            fill(vectors.data() + i * shape_.dimensions);
        return vectors;
    }

  private:
    void fill(float *vector) {
        std::normal_distribution<float> normal;
        // The product of two uniform numbers makes small cluster numbers frequent.
        std::uniform_real_distribution<double> uniform;
        const auto cluster = static_cast<std::size_t>(uniform(random_) * uniform(random_) *
                                                      static_cast<double>(shape_.clusters));
        const float *centre = centres_.data() + cluster * shape_.dimensions;
        const float *axis = axes_.data() + cluster * shape_.intrinsic * shape_.dimensions;
        for (std::size_t d = 0; d < shape_.dimensions; ++d)
            vector[d] = centre[d] + shape_.noise * normal(random_);
        for (std::size_t a = 0; a < shape_.intrinsic; ++a, axis += shape_.dimensions) {
            const float along = normal(random_);
            for (std::size_t d = 0; d < shape_.dimensions; ++d)
                vector[d] += along * axis[d];
        }
    }

    Shape shape_;
    std::mt19937_64 random_;
    std::vector<float> centres_;
    std::vector<float> axes_;
};

}  // namespace dvec::graph
