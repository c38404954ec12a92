// What is said of a vector from its code alone, against the vector itself.
#include "engine/graph/code_judge.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "engine/distance/code.hpp"

namespace dvec::graph {
namespace {

using distance::Element;
using distance::Metric;

constexpr float infinity = std::numeric_limits<float>::infinity();

enum class Kind { normal, positive, few_values, far_from_origin, heavy_tailed, tiny, huge };
constexpr Kind kinds[] = {
    Kind::normal,       Kind::positive, Kind::few_values, Kind::far_from_origin,
    Kind::heavy_tailed, Kind::tiny,     Kind::huge};

std::vector<float> make_vector(Kind kind, std::size_t dimensions, std::mt19937 &random) {
    std::normal_distribution<float> normal, of_centres(0, 300);
    std::cauchy_distribution<float> cauchy;
    std::mt19937 fixed(3);
    std::vector<float> vector(dimensions);
    for (float &x : vector) {
        const float centre = of_centres(fixed);
        x = normal(random);
        switch (kind) {
            case Kind::normal:
                break;
            case Kind::positive:
                x = std::abs(x) + 1;
                break;
            case Kind::few_values:
                x = 0.1f * std::round(x);
                break;
            case Kind::far_from_origin:
                x = centre + x / 100;
                break;
            case Kind::heavy_tailed:
                x = cauchy(random);
                break;
            case Kind::tiny:
                x *= 1e-15f;
                break;
            case Kind::huge:
                x *= 2e18f;
                break;
        }
    }
    return vector;
}

constexpr Metric coded_metrics[] = {Metric::l2_squared, Metric::inner_product, Metric::cosine};

struct Measured {
    double exact;
    float of_code, error;
};

Measured measure(const distance::Kernel &kernel, const std::vector<float> &query,
                 const std::vector<float> &vector) {
    std::vector<std::byte> code(distance::code_bytes(vector.size()));
    distance::encode(vector.data(), vector.size(), code.data());
    const CodeJudge judge(kernel, query.data(), query.size());
    const auto header = distance::code_header(code.data());
    const float measured = kernel.code_distance(query.data(), code.data(), vector.size());
    return {kernel.whole_distance(query.data(), vector.data(), vector.size()),
            judge.distance(measured, header), judge.error(header)};
}

TEST(CodeJudgeTest, NoDistanceIsLessThanItsBound) {
    std::mt19937 random(1);
    for (const Metric metric : coded_metrics)
        for (const Kind kind : kinds)
            for (const std::size_t dimensions : {128, 768, 2000}) {
                SCOPED_TRACE(testing::Message()
                             << "metric " << static_cast<int>(metric) << " kind "
                             << static_cast<int>(kind) << " dimensions " << dimensions);
                const auto &kernel = *distance::find_kernel(Element::float32, metric);
                for (int q = 0; q < 5; ++q) {
                    const auto query = make_vector(kind, dimensions, random);
                    const CodeJudge judge(kernel, query.data(), dimensions);
                    for (int v = 0; v < 20; ++v) {
                        auto vector = make_vector(kind, dimensions, random);
                        // Some of them near to the query, or equal to it.
                        if (v % 4 == 1)
                            for (std::size_t d = 0; d < dimensions; ++d)
                                vector[d] = query[d] + vector[d] / 1000;
                        if (v == 2)
                            vector = query;
                        const Measured found = measure(kernel, query, vector);
                        if (std::isnan(found.exact))
                            EXPECT_FALSE(judge.reliable(found.of_code, found.error));
                        else
                            EXPECT_LE(judge.bound(found.of_code, found.error), found.exact);
                    }
                }
            }
}

// Whose errors have squares that are no numbers any more.
TEST(CodeJudgeTest, BoundsHoldForVectorsMuchShorterThanTheQuery) {
    std::mt19937 random(5);
    const auto &kernel = *distance::find_kernel(Element::float32, Metric::inner_product);
    const auto query = make_vector(Kind::normal, 128, random);
    const CodeJudge judge(kernel, query.data(), 128);
    for (float factor = 1e-5f; factor > 0; factor /= 10)
        for (int v = 0; v < 20; ++v) {
            auto vector = make_vector(Kind::normal, 128, random);
            for (float &x : vector)
                x *= factor;
            const Measured found = measure(kernel, query, vector);
            EXPECT_LE(judge.bound(found.of_code, found.error), found.exact) << factor;
        }
}

TEST(CodeJudgeTest, ByCosineTheDistanceToACodeIsNearThatToTheVectorWhateverTheLengths) {
    std::mt19937 random(6);
    const auto &kernel = *distance::find_kernel(Element::float32, Metric::cosine);
    for (const float length : {1e-10f, 1e-3f, 1.0f, 1e10f})
        for (int v = 0; v < 20; ++v) {
            auto query = make_vector(Kind::normal, 768, random);
            auto vector = make_vector(Kind::normal, 768, random);
            for (std::size_t d = 0; d < vector.size(); ++d) {
                vector[d] = (query[d] + vector[d]) * length;
                query[d] /= length;
            }
            const Measured found = measure(kernel, query, vector);
            EXPECT_NEAR(found.of_code, found.exact, 1e-3);
            EXPECT_LT(found.error, 0.02f);
            const CodeJudge judge(kernel, query.data(), 768);
            EXPECT_GE(judge.bound(found.of_code, found.error), found.exact - 0.04);
        }
}

TEST(CodeJudgeTest, ACosineFromLengthsNearTheLimitsOfFloatsIsNeverBelieved) {
    std::mt19937 random(7);
    const auto &kernel = *distance::find_kernel(Element::float32, Metric::cosine);
    for (const float length : {0.0f, 1e-40f, 1e-20f, 1e18f, 1e35f}) {
        const auto one = make_vector(Kind::normal, 128, random);
        auto other = make_vector(Kind::normal, 128, random);
        for (float &x : other)
            x *= length;
        EXPECT_EQ(measure(kernel, one, other).error, infinity) << length;
        EXPECT_EQ(measure(kernel, other, one).error, infinity) << length;
    }
}

TEST(CodeJudgeTest, BoundsAreNearWhereCodesAreGood) {
    std::mt19937 random(2);
    const auto &kernel = *distance::find_kernel(Element::float32, Metric::l2_squared);
    const auto query = make_vector(Kind::normal, 768, random);
    const CodeJudge judge(kernel, query.data(), 768);
    for (int v = 0; v < 20; ++v) {
        const Measured found = measure(kernel, query, make_vector(Kind::normal, 768, random));
        EXPECT_GE(judge.bound(found.of_code, found.error), found.exact * 0.98);
        EXPECT_TRUE(judge.reliable(found.of_code, found.error));
    }
}

TEST(CodeJudgeTest, BoundsOfNothingKnownAreTheLeastThatADistanceCanBe) {
    const std::vector<float> query(128, 1);
    for (const float distance : {0.0f, 5.0f, infinity, std::nanf("")}) {
        for (const float error : {infinity, std::nanf("")}) {
            const CodeJudge euclidean(*distance::find_kernel(Element::float32, Metric::l2_squared),
                                      query.data(), 128);
            EXPECT_EQ(euclidean.bound(distance, error), 0.0f);
            const CodeJudge product(*distance::find_kernel(Element::float32, Metric::inner_product),
                                    query.data(), 128);
            EXPECT_EQ(product.bound(-distance, error), -infinity);
            const CodeJudge cosine(*distance::find_kernel(Element::float32, Metric::cosine),
                                   query.data(), 128);
            EXPECT_EQ(cosine.bound(distance, error), 0.0f);
        }
    }
}

TEST(CodeJudgeTest, ACodeWithAnInfiniteErrorIsNeverBelieved) {
    for (const Metric metric : coded_metrics) {
        const CodeJudge judge(*distance::find_kernel(Element::float32, metric));
        for (const float distance : {0.0f, 1.0f, 1e38f, infinity})
            EXPECT_FALSE(judge.reliable(distance, infinity)) << distance;
        EXPECT_TRUE(judge.reliable(1.0f, 0.01f));
    }
}

TEST(CodeJudgeTest, AEuclideanDistanceMustBeSeveralTimesTheError) {
    const CodeJudge judge(*distance::find_kernel(Element::float32, Metric::l2_squared));
    EXPECT_TRUE(judge.reliable(1.0f, 0.1f));
    EXPECT_FALSE(judge.reliable(1.0f, 0.2f));
    EXPECT_FALSE(judge.reliable(std::nanf(""), 0.1f));
}

TEST(CodeJudgeTest, SumsThatOverflowForTheCodeAloneStillBoundTheDistance) {
    const std::vector<float> query(128, 0);
    const CodeJudge judge(*distance::find_kernel(Element::float32, Metric::l2_squared),
                          query.data(), 128);
    EXPECT_LT(judge.bound(infinity, 1e17f), 3.4e38f);
}

}  // namespace
}  // namespace dvec::graph
