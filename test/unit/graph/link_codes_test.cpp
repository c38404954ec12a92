// A walk by link codes: what it returns is what any search returns, complete, measured and in
// order; it finds what a walk by links finds, and it sees links that have changed since.
#include "engine/graph/link_codes.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "engine/graph/reachability.hpp"
#include "test/unit/graph/graph_fixture.hpp"

namespace dvec::graph {
namespace {

using distance::Metric;

constexpr ClusteredShape shape{64, 20, 8, 0.1f};

class LinkCodesTest : public GraphTest {
  protected:
    // A graph of rows by this metric, whose links are coded.
    void build(const std::vector<float> &vectors, Metric metric = Metric::l2_squared,
               std::uint32_t m = 16, std::uint32_t dimensions = 64) {
        create(dimensions, m, Codes::as_usual, metric);
        add(vectors);
        link_all();
        code_links();
    }

    void open_codes() {
        ASSERT_TRUE(LinkCodes::create(files_, params_, kernel_, dimensions_).ok());
        auto opened = LinkCodes::open(files_, params_, kernel_, dimensions_);
        ASSERT_TRUE(opened.ok()) << opened.status().message();
        codes_ = std::move(opened).value();
    }

    // Codes what is not coded as it is now.
    void code_links() {
        if (!codes_)
            open_codes();
        const NodeId linked = state_.linked.load();
        ASSERT_TRUE(codes_->grow(linked).ok());
        for (NodeId id = 0; id < linked; ++id)
            if (id >= coded_)
                codes_->code(*nodes_, id, LinkCodes::Before::nothing);
            else if (!codes_->current(id))
                codes_->code(*nodes_, id, LinkCodes::Before::coded);
        coded_ = linked;
        nodes_->note_link_changes_in(codes_->changes(coded_));
    }

    Search::Params params_by_codes(std::uint32_t ef) const {
        Search::Params params = search_params(ef);
        params.link_codes = codes_;
        params.coded = coded_;
        return params;
    }
    std::vector<Hit> search_by_codes(const float *query, std::uint32_t ef, std::size_t count) {
        return search_with(search_, query, params_by_codes(ef), count);
    }

    // As complete and as ordered as without codes, but for some that are found late.
    void expect_complete_by_codes(const float *query, std::uint32_t ef) {
        const auto without = search(query, ef, 10000);
        std::size_t late = 0;
        for (std::size_t i = 1; i < without.size() && late == 0; ++i)
            if (without[i].distance < without[i - 1].distance)
                late = without.size() - i;
        expect_complete(search_by_codes(query, ef, 10000), query, late + 60);
    }

    // Of the k nearest, the share that a walk by codes returns first.
    double recall_by_codes(const std::vector<float> &queries, std::uint32_t ef, std::size_t k) {
        std::size_t found = 0;
        const std::size_t count = queries.size() / dimensions_;
        for (std::size_t q = 0; q < count; ++q) {
            const float *query = &queries[q * dimensions_];
            const auto truth = exact(query, 0, state_.allocated.load());
            for (const Hit &hit : search_by_codes(query, ef, k))
                found += hit.distance <= truth[k - 1].first ? 1 : 0;
        }
        return static_cast<double>(found) / static_cast<double>(count * k);
    }

    // `most` is of the error, as a share of what is estimated.
    void expect_right_estimates(const std::vector<float> &queries, double most) {
        double sum = 0, squares = 0, spread = 0;
        std::size_t count = 0;
        for (std::size_t q = 0; q < queries.size() / dimensions_; ++q) {
            const float *query = &queries[q * dimensions_];
            LinkCodes::Query by_codes;
            ASSERT_TRUE(by_codes.reset(*codes_, query));
            for (NodeId id = 0; id < coded_; id += 7) {
                const float node = kernel_.distance(query, nodes_->vector(id), dimensions_);
                float distances[distance::codes_at_once];
                by_codes.estimate(codes_->block(id, 0), node, distances);
                const auto list = links(id);
                for (std::size_t i = 0; i < list.size(); ++i) {
                    ASSERT_EQ(LinkCodes::ids(codes_->block(id, 0))[i].load(), list[i]);
                    const float real =
                        kernel_.distance(query, nodes_->vector(list[i]), dimensions_);
                    sum += static_cast<double>(distances[i] - real);
                    squares += std::pow(static_cast<double>(distances[i] - real), 2);
                    spread += std::pow(static_cast<double>(real - node), 2);
                    ++count;
                }
            }
        }
        // What is estimated is how much farther than the node a neighbour is.
        const double usual = std::sqrt(spread / static_cast<double>(count));
        EXPECT_LT(std::fabs(sum / static_cast<double>(count)), usual / 50);
        EXPECT_LT(std::sqrt(squares / static_cast<double>(count)), most * usual);
    }

    Search search_;
    std::shared_ptr<LinkCodes> codes_;
    NodeId coded_ = 0;
};

// The mean of the differences is near nothing, and most are small beside the distances. That holds
// as well where all vectors lie in about one direction.
TEST_F(LinkCodesTest, EstimatesAreRightOnAverage) {
    for (const Metric metric : {Metric::l2_squared, Metric::inner_product, Metric::cosine})
        for (const float offset : {0.0f, 1.5f}) {
            auto rows = ClusteredData(1, shape).make(2000);
            auto queries = ClusteredData(2, shape).make(20);
            for (auto *vectors : {&rows, &queries})
                for (float &x : *vectors)
                    x += offset;
            build(rows, metric);
            expect_right_estimates(queries, offset > 0 ? 0.6 : 0.8);
            codes_.reset();
            coded_ = 0;
            forget();
        }
}

TEST_F(LinkCodesTest, FindsWhatAWalkByLinksFinds) {
    for (const Metric metric : {Metric::l2_squared, Metric::inner_product, Metric::cosine}) {
        build(ClusteredData(1, shape).make(6000), metric);
        const auto queries = ClusteredData(2, shape).make(100);
        EXPECT_GT(recall_by_codes(queries, 60, 10), recall(queries, 60, 10) - 0.02);
        codes_.reset();
        coded_ = 0;
        forget();
    }
}

TEST_F(LinkCodesTest, MeasuresFewerThanItEstimates) {
    build(ClusteredData(1, shape).make(6000));
    const auto query = ClusteredData(2, shape).make(1);
    ASSERT_EQ(search_by_codes(query.data(), 40, 10).size(), 10u);
    EXPECT_GT(search_.statistics().estimated, 10 * search_.statistics().expanded);
    const std::uint64_t by_codes = search_.statistics().distances;
    ASSERT_EQ(search_with(search_, query.data(), search_params(40), 10).size(), 10u);
    EXPECT_EQ(search_.statistics().estimated, 0u);
    EXPECT_LT(3 * by_codes, 2 * search_.statistics().distances);
}

TEST_F(LinkCodesTest, EveryRowComesOnceAndInOrder) {
    for (const std::uint32_t m : {8u, 16u, 20u}) {
        build(ClusteredData(1, shape).make(3000), Metric::l2_squared, m);
        add(ClusteredData(3, shape).make(300));
        lose_some(3000);
        const auto queries = ClusteredData(2, shape).make(4);
        for (std::size_t q = 0; q < 4; ++q)
            for (const std::uint32_t ef : {1u, 10u, 200u})
                expect_complete_by_codes(&queries[q * 64], ef);
        codes_.reset();
        coded_ = 0;
        forget();
    }
}

// Rows that were linked since are found as others are, before their neighbours' links are coded
// again and after.
TEST_F(LinkCodesTest, SeesLinksThatHaveChanged) {
    build(ClusteredData(1, shape).make(3000));
    for (std::uint64_t seed = 10; seed < 13; ++seed) {
        const auto more = ClusteredData(seed, shape).make(500);
        const NodeId first = state_.allocated.load();
        add(more);
        link_all();
        for (const bool coded : {false, true}) {
            if (coded)
                code_links();
            std::size_t found = 0;
            for (NodeId i = 0; i < 500; ++i)
                found += search_by_codes(&more[i * 64], 40, 1)[0].id == first + i ? 1 : 0;
            EXPECT_GE(found, 495u);
        }
    }
    // What was coded piece by piece is what coding all at once gives.
    const NodeId end = coded_;
    std::vector<std::byte> pieces;
    const std::size_t bytes = codes_->block_lines() * cache_line;
    for (NodeId id = 0; id < end; ++id)
        pieces.insert(pieces.end(), codes_->block(id, 0), codes_->block(id, 0) + bytes);
    for (NodeId id = 0; id < end; ++id) {
        codes_->code(*nodes_, id, LinkCodes::Before::nothing);
        ASSERT_EQ(std::memcmp(&pieces[id * bytes], codes_->block(id, 0), bytes), 0) << id;
    }
}

TEST_F(LinkCodesTest, SeesLinksThatConnectingHasAdded) {
    build(ClusteredData(1, shape).make(2000));
    // Nothing leads to this node any more.
    const NodeId lost = 77;
    for (NodeId id = 0; id < 2000; ++id) {
        std::atomic<std::uint32_t> *words = list_words(id, 0);
        for (std::uint32_t i = 1; i <= words[0].load(); ++i)
            if (words[i].load() == lost)
                words[i].store(id == 0 ? 1 : 0);
        nodes_->note_links_changed(id);
    }
    code_links();
    auto report = connect_unreachable(*nodes_, {kernel_, dimensions_, 64}, never_stop);
    ASSERT_TRUE(report.ok());
    const auto *vector = reinterpret_cast<const float *>(nodes_->vector(lost));
    EXPECT_EQ(search_by_codes(vector, 40, 1)[0].id, lost);
}

TEST_F(LinkCodesTest, CopiesAndNearCopiesComeAsWithoutCodes) {
    auto data = ClusteredData(1, shape).make(3000);
    std::mt19937 random(3);
    for (std::size_t i = 0; i < 3000; i += 3)
        for (std::size_t d = 0; d < 64; ++d)
            data[i * 64 + d] = data[d] + (i % 2 == 0 ? 0.0f : 1e-4f * static_cast<float>(i % 7));
    build(data);
    const auto queries = ClusteredData(2, shape).make(5);
    for (std::size_t q = 0; q < 5; ++q)
        expect_complete_by_codes(&queries[q * 64], 40);
    expect_complete_by_codes(data.data(), 40);
}

// Vectors whose squares float does not hold, zeros, and queries that are no numbers.
TEST_F(LinkCodesTest, VectorsWithoutCodesAreMeasured) {
    for (const Metric metric : {Metric::l2_squared, Metric::inner_product, Metric::cosine}) {
        auto data = ClusteredData(1, shape).make(1500);
        for (std::size_t i = 0; i < 1500; i += 5)
            for (std::size_t d = 0; d < 64; ++d)
                data[i * 64 + d] *= i % 3 == 0 ? 1e18f : i % 3 == 1 ? 1e-20f : 0.0f;
        build(data, metric);
        auto queries = ClusteredData(2, shape).make(4);
        for (std::size_t d = 0; d < 64; ++d) {
            queries[64 + d] *= 1e19f;
            queries[128 + d] = 0;
        }
        queries[3 * 64 + 5] = std::numeric_limits<float>::quiet_NaN();
        for (std::size_t q = 0; q < 4; ++q) {
            const float *query = &queries[q * 64];
            const auto hits = search_by_codes(query, 40, 2000);
            EXPECT_EQ(hits.size(), 1500u);
            std::set<NodeId> ids;
            for (const Hit &hit : hits)
                ids.insert(hit.id);
            EXPECT_EQ(ids.size(), 1500u);
        }
        codes_.reset();
        coded_ = 0;
        forget();
    }
}

TEST_F(LinkCodesTest, AnyBytesAreSurvived) {
    build(ClusteredData(1, shape).make(2000));
    std::mt19937 random(11);
    const auto queries = ClusteredData(2, shape).make(20);
    for (std::size_t q = 0; q < 20; ++q) {
        for (NodeId id = 0; id < 2000; ++id) {
            auto *bytes = const_cast<std::byte *>(codes_->block(id, 0));
            for (std::size_t i = 0; i < 20; ++i)
                bytes[random() % (codes_->block_lines() * cache_line)] =
                    static_cast<std::byte>(random());
        }
        const auto hits = search_by_codes(&queries[q * 64], 40, 5000);
        std::set<NodeId> ids;
        for (const Hit &hit : hits)
            ids.insert(hit.id);
        EXPECT_EQ(ids.size(), hits.size());
        EXPECT_EQ(hits.size(), 2000u);
    }
}

TEST_F(LinkCodesTest, AFileOfAnotherShapeIsRefused) {
    build(ClusteredData(1, shape).make(100));
    EXPECT_EQ(LinkCodes::open(files_, params_, kernel_, 128).status().code(), base::Code::mismatch);
    NodeStore::Params other = params_;
    other.generation = 9;
    EXPECT_EQ(LinkCodes::open(files_, other, kernel_, dimensions_).status().code(),
              base::Code::not_found);
}

}  // namespace
}  // namespace dvec::graph
