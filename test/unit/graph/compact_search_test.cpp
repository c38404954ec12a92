// Linking and searching compact vectors. The distances are those that compact vectors tell, so the
// nearest by the vectors themselves are looked for among somewhat more rows than are wanted.
#include "engine/graph/compact_encoder.hpp"

#include <algorithm>
#include <random>

#include "engine/graph/recall_measure.hpp"
#include "test/unit/graph/graph_fixture.hpp"
#include "test/unit/support/sanitized.hpp"

namespace dvec::graph {
namespace {

using distance::Element;
using distance::Metric;

constexpr std::uint32_t dimensions = 192;
constexpr ClusteredShape shape{dimensions, 20, 12, 0.1f};
constexpr std::size_t wanted = 10;

struct Kind {
    unsigned bits;
    Element element;
    std::size_t among;  // rows of the search in which the nearest are looked for
};
constexpr Kind kinds[] = {
    {8, Element::compact8, 12}, {4, Element::compact4, 25}, {1, Element::compact1, 120}};

class CompactSearchTest : public GraphTest {
  protected:
    void create_compact(const Kind &kind, Metric metric) {
        dimensions_ = dimensions;
        bits_ = kind.bits;
        kernel_ = *distance::find_kernel(kind.element, metric);
        exact_ = *distance::find_kernel(Element::float32, metric);
        params_ = {directory_.path(), identity, layout_of(kernel_, dimensions, 16)};
        ASSERT_TRUE(NodeStore::create_files(files_, params_).ok());
        nodes_ = open_store(state_);
    }

    std::vector<std::byte> compact(const float *vector, unsigned bits) {
        std::vector<std::byte> out(distance::compact_bytes(bits, dimensions));
        encoder_.encode(vector, kernel_.metric, bits, out.data());
        return out;
    }

    void add_compact(const std::vector<float> &vectors) {
        const auto count = static_cast<std::uint32_t>(vectors.size() / dimensions);
        ASSERT_TRUE(nodes_->reserve_slots(count).ok());
        ASSERT_TRUE(nodes_->refresh().ok());
        for (std::uint32_t i = 0; i < count; ++i) {
            const NodeId id = state_.allocated.load();
            const auto row = compact(&vectors[std::size_t{i} * dimensions], bits_);
            nodes_->write_payload(id, tid_of(id), row.data());
            nodes_->publish(id);
            state_.allocated.store(id + 1);
        }
    }

    std::vector<Hit> search_compact(const float *query, std::uint32_t ef, std::size_t count) {
        const auto asked = compact(query, distance::bits_of_queries);
        Search::Params params = search_params(ef);
        params.kernel = kernel_.of_queries();
        Search search;
        return search_with(search, asked.data(), params, count);
    }

    // The share of the nearest rows, by the vectors, that are among the first of the searches.
    double recall(const std::vector<float> &vectors, const std::vector<float> &queries,
                  std::uint32_t ef, std::size_t among) {
        std::size_t found = 0, all = 0;
        for (std::size_t q = 0; q < queries.size(); q += dimensions) {
            std::vector<std::pair<float, NodeId>> truth;
            for (std::size_t at = 0; at < vectors.size(); at += dimensions)
                truth.emplace_back(exact_.distance(&queries[q], &vectors[at], dimensions),
                                   static_cast<NodeId>(at / dimensions));
            std::partial_sort(truth.begin(), truth.begin() + wanted, truth.end());
            std::set<NodeId> hits;
            for (const Hit &hit : search_compact(&queries[q], ef, among))
                hits.insert(hit.id);
            for (std::size_t i = 0; i < wanted; ++i)
                found += hits.contains(truth[i].second);
            all += wanted;
        }
        return static_cast<double>(found) / static_cast<double>(all);
    }

    CompactEncoder encoder_{dimensions};
    distance::Kernel exact_{};
    unsigned bits_ = 0;
};

TEST_F(CompactSearchTest, FindsTheNearestRows) {
    const auto vectors = ClusteredData(1, shape).make(3000);
    const auto queries = ClusteredData(2, shape).make(40);
    for (const Kind &kind : kinds)
        for (const Metric metric :
             {Metric::l2_squared, Metric::inner_product, Metric::cosine, Metric::l1}) {
            create_compact(kind, metric);
            add_compact(vectors);
            link_first(2800);
            EXPECT_GE(recall(vectors, queries, 160, kind.among), 0.9)
                << kind.bits << " bits, metric " << static_cast<int>(metric);
            expect_sound_links();
            forget();
        }
}

TEST_F(CompactSearchTest, ReturnsEveryRowInOrder) {
    const auto vectors = ClusteredData(1, shape).make(900);
    const auto queries = ClusteredData(2, shape).make(3);
    for (const Kind &kind : kinds) {
        create_compact(kind, Metric::l2_squared);
        add_compact(vectors);
        add_compact(vectors);  // and copies
        link_first(1700);
        for (NodeId id = 0; id < 1800; id += 7)
            nodes_->mark_deleted(id);
        for (std::size_t q = 0; q < queries.size(); q += dimensions) {
            const auto asked = compact(&queries[q], distance::bits_of_queries);
            std::set<NodeId> seen;
            double before = 0;
            std::size_t descents = 0;
            for (const Hit &hit : search_compact(&queries[q], 40, 5000)) {
                EXPECT_TRUE(seen.insert(hit.id).second);
                EXPECT_TRUE(live(hit.id));
                EXPECT_EQ(hit.distance, kernel_.operator_value(kernel_.of_queries().whole_distance(
                                            asked.data(), nodes_->vector(hit.id), dimensions)));
                descents += hit.distance < before ? 1 : 0;
                before = hit.distance;
            }
            EXPECT_EQ(seen.size(), 1800u - 258u);
            EXPECT_LE(descents, 1u);
        }
        forget();
    }
}

// The curve must not promise what rounding takes away: searches put what they have found into the
// order of the vectors' own distances, and what is not among it is missed.
TEST_F(CompactSearchTest, ItsRecallCurveKnowsWhatRoundingLoses) {
    const auto vectors = ClusteredData(1, shape).make(test::sanitized ? 1500 : 3000);
    const auto queries = ClusteredData(2, shape).make(100);
    for (const Kind &kind : kinds)
        for (const Metric metric : {Metric::l2_squared, Metric::cosine, Metric::l1}) {
            create_compact(kind, metric);
            add_compact(vectors);
            link_all(1);
            RecallMeasure measure(*nodes_, state_, {kernel_, dimensions_, 1});
            while (!measure.done())
                ASSERT_TRUE(measure.step().ok());
            for (const std::size_t at : {0, 2, 4, 6}) {
                const std::uint32_t ef = curve_efs[at];
                const double found = recall(vectors, queries, ef, ef);
                const double told = measure.curve().points[1][at].recall;
                EXPECT_LT(told, found + 0.06)
                    << kind.bits << " bits, metric " << static_cast<int>(metric) << ", ef " << ef;
                EXPECT_GT(told, found - 0.08)
                    << kind.bits << " bits, metric " << static_cast<int>(metric) << ", ef " << ef;
            }
            forget();
        }
}

// A slot has no more than what it needs: figures that users plan by.
TEST_F(CompactSearchTest, TakesTheBytesOfItsBits) {
    const auto stride = [](Element element, std::uint32_t count) {
        return layout_of(*distance::find_kernel(element, Metric::cosine), count, 16).stride;
    };
    EXPECT_EQ(stride(Element::compact8, 128), 320u);
    EXPECT_EQ(stride(Element::compact8, 768), 960u);
    EXPECT_EQ(stride(Element::compact4, 768), 576u);
    EXPECT_EQ(stride(Element::compact1, 768), 320u);
    EXPECT_EQ(stride(Element::compact8, 1536), 1728u);
    EXPECT_EQ(stride(Element::compact4, 1536), 960u);
    EXPECT_EQ(stride(Element::compact1, 1536), 384u);
}

}  // namespace
}  // namespace dvec::graph
