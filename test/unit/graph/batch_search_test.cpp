// Long vectors, or their codes, are measured four at a time: which must change nothing but the
// time.
#include "test/unit/graph/graph_fixture.hpp"

namespace dvec::graph {
namespace {

// A kernel's functions of four, counting their calls; or doing the same one by one.
struct Fours {
    static inline distance::Kernel kernel;
    static inline std::size_t of_vectors = 0;
    static inline std::size_t of_codes = 0;

    static void vectors(const void *query, const void *const *vectors, std::size_t dimensions,
                        float *distances) {
        ++of_vectors;
        kernel.four_distances(query, vectors, dimensions, distances);
    }
    static void codes(const void *query, const void *const *codes, std::size_t dimensions,
                      float *distances) {
        ++of_codes;
        kernel.four_code_distances(query, codes, dimensions, distances);
    }
    static void single_vectors(const void *query, const void *const *vectors,
                               std::size_t dimensions, float *distances) {
        for (std::size_t i = 0; i < 4; ++i)
            distances[i] = kernel.distance(query, vectors[i], dimensions);
    }
    static void single_codes(const void *query, const void *const *codes, std::size_t dimensions,
                             float *distances) {
        for (std::size_t i = 0; i < 4; ++i)
            distances[i] = kernel.code_distance(query, codes[i], dimensions);
    }
};

class BatchSearchTest : public GraphTest {
  protected:
    static constexpr std::uint32_t count = 500;
    static constexpr std::size_t queries = 3;

    // Links vectors, and searches some with and without functions of four. Returns how many calls
    // of those there were, and in `distances` how many were measured. The first element is moved
    // `far` away: that makes the grid of codes coarse.
    std::size_t search_twice(std::uint32_t dimensions, Codes codes, float far,
                             std::size_t &distances) {
        const ClusteredShape shape{dimensions, 10, 4, 0.2f};
        create(dimensions, 16, codes);
        const auto moved = [&](std::vector<float> vectors) {
            for (std::size_t i = 0; i < vectors.size(); i += dimensions)
                vectors[i] += far;
            return vectors;
        };
        add(moved(ClusteredData(1, shape).make(count)));
        link_all();
        const auto all = moved(ClusteredData(2, shape).make(queries));
        Fours::kernel = kernel_;
        Fours::of_vectors = Fours::of_codes = 0;
        distances = 0;
        for (std::size_t q = 0; q < queries; ++q) {
            auto params = search_params(20);
            params.kernel.four_distances = Fours::vectors;
            params.kernel.four_code_distances = Fours::codes;
            Search batched;
            const auto hits = search_with(batched, &all[q * dimensions], params, 30);
            params.kernel.four_distances = Fours::single_vectors;
            params.kernel.four_code_distances = Fours::single_codes;
            Search single;
            const auto expected = search_with(single, &all[q * dimensions], params, 30);
            distances += batched.statistics().distances;
            EXPECT_LE(hits[9].distance, exact(&all[q * dimensions], 0, count)[11].first * 1.0001f);
            EXPECT_EQ(batched.statistics().distances, single.statistics().distances);
            EXPECT_EQ(hits.size(), expected.size());
            for (std::size_t i = 0; i < std::min(hits.size(), expected.size()); ++i) {
                EXPECT_EQ(hits[i].id, expected[i].id);
                EXPECT_EQ(hits[i].distance, operator_distance(&all[q * dimensions], hits[i].id));
            }
        }
        return Fours::of_vectors + Fours::of_codes;
    }
};

TEST_F(BatchSearchTest, LongVectorsAreMeasuredInBatchesWithTheSameHits) {
    std::size_t distances = 0;
    EXPECT_GT(search_twice(300, Codes::none, 0, distances) * 4, distances / 2);
    EXPECT_EQ(Fours::of_codes, 0u);
}

// A first look at their codes (first_look.hpp) defers most of a node's neighbours, so that four
// that are to be measured often do not come together.
TEST_F(BatchSearchTest, LongCodesAreMeasuredInBatchesWithTheSameHits) {
    std::size_t distances = 0;
    EXPECT_GT(search_twice(1100, Codes::as_usual, 0, distances) * 4, distances / 8);
    EXPECT_EQ(Fours::of_vectors, 0u);
}

// After a batch of codes come the vectors of those that say too little. (Farther away they would be
// near copies.)
TEST_F(BatchSearchTest, BatchesOfCodesThatSayNothingHaveTheSameHits) {
    std::size_t distances = 0;
    EXPECT_GT(search_twice(1100, Codes::as_usual, 140, distances) * 8, distances / 2);
    EXPECT_EQ(Fours::of_vectors, 0u);
}

TEST_F(BatchSearchTest, ShortVectorsAndCodesAreMeasuredOneByOne) {
    std::size_t distances = 0;
    EXPECT_EQ(search_twice(100, Codes::as_usual, 0, distances), 0u);
    forget();
    EXPECT_EQ(search_twice(300, Codes::as_usual, 0, distances), 0u);
}

}  // namespace
}  // namespace dvec::graph
