// How much of the exact answer the graph finds, per kind of data and metric. The thresholds leave
// room for what differs from run to run (which nodes two threads link at the same time), and none
// for a loss of 0.02.
#include <cmath>

#include "test/unit/graph/graph_fixture.hpp"

namespace dvec::graph {
namespace {

using distance::Element;
using distance::Metric;

constexpr std::size_t many = 10000;
constexpr std::size_t few = 100;  // queries

std::vector<float> uniform(std::uint64_t seed, std::size_t values) {
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<float> number;
    std::vector<float> made(values);
    for (float &x : made)
        x = number(random);
    return made;
}

// Multiplies every vector so that it gets its length of `lengths`.
void set_lengths(std::vector<float> &vectors, std::size_t dimensions,
                 const std::vector<float> &lengths) {
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        float *const vector = &vectors[i * dimensions];
        float squares = 0;
        for (std::size_t d = 0; d < dimensions; ++d)
            squares += vector[d] * vector[d];
        for (std::size_t d = 0; d < dimensions; ++d)
            vector[d] *= lengths[i] / std::sqrt(squares);
    }
}

class RecallTest : public GraphTest {
  protected:
    // A graph by `metric` of vectors in the unit cube. Nearly all inner products of a query are
    // largest with the same few vectors, those in the corner farthest from the origin.
    void link_cube(Metric metric, const std::vector<float> &vectors) {
        create(3);
        kernel_ = *distance::find_kernel(Element::float32, metric);
        add(vectors);
        link_all();
    }
    void link_clustered(Metric metric, const std::vector<float> &lengths) {
        create(64);
        kernel_ = *distance::find_kernel(Element::float32, metric);
        std::vector<float> vectors = ClusteredData(1, shape).make(many);
        set_lengths(vectors, 64, lengths);
        add(vectors);
        link_all();
    }

    static constexpr ClusteredShape shape{64, 100, 16, 0.05f};
    const std::vector<float> cube_queries = uniform(2, few * 3);
    const std::vector<float> clustered_queries = ClusteredData(2, shape).make(few);
};

TEST_F(RecallTest, InnerProductInACube) {
    link_cube(Metric::inner_product, uniform(1, many * 3));
    expect_sound_links();
    EXPECT_GE(recall(cube_queries, 40, 20), 0.985);
    EXPECT_GE(recall(cube_queries, 40, 10), 0.985);
}

TEST_F(RecallTest, InnerProductInACubeWithFewInTheCorner) {
    std::vector<float> vectors = uniform(1, many * 3);
    const std::vector<float> factors = uniform(3, many * 3);
    for (std::size_t i = 0; i < vectors.size(); ++i)
        vectors[i] *= factors[i];
    link_cube(Metric::inner_product, vectors);
    EXPECT_GE(recall(cube_queries, 40, 20), 0.985);
}

TEST_F(RecallTest, EuclideanInACube) {
    link_cube(Metric::l2_squared, uniform(1, many * 3));
    expect_reachable(many);
    EXPECT_GE(recall(cube_queries, 40, 20), 0.99);
}

TEST_F(RecallTest, CosineInACube) {
    std::vector<float> vectors = uniform(1, many * 3);
    set_lengths(vectors, 3, std::vector<float>(many, 1));
    link_cube(Metric::inner_product, vectors);
    expect_reachable(many);
    EXPECT_GE(recall(cube_queries, 40, 20), 0.99);
}

TEST_F(RecallTest, InnerProductOfClustersWithManyLengths) {
    std::vector<float> lengths = uniform(3, many);
    for (float &length : lengths)
        length = std::exp(2 * length);
    link_clustered(Metric::inner_product, lengths);
    EXPECT_GE(recall(clustered_queries, 40, 20), 0.945);
    EXPECT_GE(recall(clustered_queries, 200, 20), 0.99);
}

TEST_F(RecallTest, CosineOfClusters) {
    link_clustered(Metric::inner_product, std::vector<float>(many, 1));
    expect_reachable(many);
    EXPECT_GE(recall(clustered_queries, 40, 20), 0.95);
    EXPECT_GE(recall(clustered_queries, 200, 20), 0.99);
}

// The nearest node on an upper level may belong to another cluster, which then fills the beam. A
// descent that kept one node let a query in five hundred find nothing that is near.
TEST_F(RecallTest, NoQueryEndsInAnotherCluster) {
    constexpr ClusteredShape flat{64, 100, 4, 0.05f};
    create(64);
    add(ClusteredData(1, flat).make(2 * many));
    link_all();
    EXPECT_GE(recall(ClusteredData(2, flat).make(5 * few), 20, 10), 0.9995);
}

}  // namespace
}  // namespace dvec::graph
