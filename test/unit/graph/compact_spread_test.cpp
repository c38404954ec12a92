// The bounds by which rows are left unread hold for rows at random, in clusters and nearly equal,
// and for vectors of any length.
#include "engine/distance/compact_spread.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "engine/distance/compact.hpp"
#include "engine/graph/compact_encoder.hpp"

namespace dvec::graph {
namespace {

using distance::CompactSpread;
using distance::Element;
using distance::Metric;

constexpr unsigned seed = 20;
constexpr Element elements[] = {Element::compact8, Element::compact4, Element::compact1};
constexpr Metric metrics[] = {Metric::l2_squared, Metric::inner_product, Metric::cosine,
                              Metric::l1};
// What a row has of its own beside the query: nothing, almost nothing, little, all.
constexpr float shares_of_its_own[] = {0, 1e-4f, 0.1f, 10};
constexpr float scales[] = {1e-15f, 1, 1e15f};

class Pairs {
  public:
    Pairs(std::size_t dimensions, Element element, Metric metric)
        : dimensions_(dimensions), metric_(metric), encoder_(dimensions) {
        rows_ = *distance::find_kernel(element, metric);
        exact_ = *distance::find_kernel(Element::float32, metric);
    }

    struct Told {
        double distance, exact, most, spread;
        CompactSpread from_query;
    };
    Told draw(float apart, float scale) {
        std::normal_distribution<float> normal;
        std::vector<float> query(dimensions_), row(dimensions_);
        for (std::size_t i = 0; i < dimensions_; ++i) {
            const float shared = normal(random_) + 0.5f;
            query[i] = scale * (shared + apart * normal(random_));
            row[i] = scale * (shared + apart * normal(random_));
        }
        const auto asked = compact(query, distance::bits_of_queries);
        const auto stored = compact(row, distance::compact_bits(rows_.element));
        Told told{};
        told.from_query = CompactSpread(metric_, dimensions_, asked.data(),
                                        double{distance::compact_header(asked.data()).error});
        told.distance = rows_.operator_value(
            rows_.of_queries().whole_distance(asked.data(), stored.data(), dimensions_));
        told.exact =
            exact_.operator_value(exact_.whole_distance(query.data(), row.data(), dimensions_));
        told.most = told.from_query.most_of_sums(stored.data());
        told.spread = told.from_query.to(told.distance, stored.data());
        return told;
    }

  private:
    std::vector<unsigned char> compact(const std::vector<float> &vector, unsigned bits) {
        std::vector<unsigned char> out(distance::compact_bytes(bits, dimensions_));
        encoder_.encode(vector.data(), metric_, bits, out.data());
        return out;
    }

    const std::size_t dimensions_;
    const Metric metric_;
    CompactEncoder encoder_;
    distance::Kernel rows_{};
    distance::Kernel exact_{};
    std::mt19937 random_{seed};
};

TEST(CompactSpreadTest, BoundsSumsForCertain) {
    for (const Element element : elements)
        for (const std::size_t dimensions : {1u, 5u, 64u, 700u}) {
            Pairs pairs(dimensions, element, Metric::l1);
            for (const float own : shares_of_its_own)
                for (const float scale : scales)
                    for (int i = 0; i < 20; ++i) {
                        const auto told = pairs.draw(own, scale);
                        EXPECT_LE(std::abs(told.distance - told.exact), told.most)
                            << distance::compact_bits(element) << " bits, " << dimensions
                            << " dimensions, " << own << " apart, scale " << scale;
                    }
        }
}

// Products may be wrong by more than three spreads, but rarely are.
TEST(CompactSpreadTest, BoundsProductsMostly) {
    constexpr int drawn = 300;
    for (const Element element : elements)
        for (const Metric metric : metrics) {
            if (metric == Metric::l1)
                continue;
            Pairs pairs(256, element, metric);
            for (const float own : shares_of_its_own) {
                int nearer = 0;
                for (int i = 0; i < drawn; ++i) {
                    const auto told = pairs.draw(own, 1);
                    const double least = told.from_query.moved(told.distance, -3 * told.spread);
                    nearer += told.exact < least - 1e-5 * std::abs(told.exact) ? 1 : 0;
                }
                EXPECT_LE(nearer, drawn / 50)
                    << distance::compact_bits(element) << " bits, metric "
                    << static_cast<int>(metric) << ", " << own << " apart";
            }
        }
}

}  // namespace
}  // namespace dvec::graph
