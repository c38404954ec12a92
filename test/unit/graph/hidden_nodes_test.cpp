// Who is far from all others is found all the same, by its own vector and at the usual width.
#include "engine/graph/hidden_nodes.hpp"

#include <cmath>
#include <random>
#include <thread>

#include "test/unit/graph/graph_fixture.hpp"
#include "test/unit/support/sanitized.hpp"

namespace dvec::graph {
namespace {

using base::Code;

constexpr std::uint32_t usual_ef = 40;

class HiddenNodesTest : public GraphTest {
  protected:
    ReachabilityParams params() const { return {kernel_, dimensions_, 64}; }

    HiddenReport show(NodeId first_new = 0, unsigned threads = 1) {
        const auto shown = show_hidden(
            *nodes_, params(), {first_new, looked_for_between_batches, threads}, never_stop);
        EXPECT_TRUE(shown.ok()) << shown.status().message();
        EXPECT_TRUE(connect_unreachable(*nodes_, params(), never_stop).ok());
        expect_sound_links();
        return shown.ok() ? shown.value() : HiddenReport{};
    }

    // How many of these are not found by their own vectors.
    std::size_t missed(NodeId first, NodeId end, NodeId step = 1) {
        std::size_t missed = 0;
        for (NodeId id = first; id < end; id += step) {
            if (is_twin(*nodes_, id))
                continue;
            const auto hits =
                search(reinterpret_cast<const float *>(nodes_->vector(id)), usual_ef, 1);
            missed += hits.size() == 1 && hits[0].id == id ? 0 : 1;
        }
        return missed;
    }

    // Vectors in every direction, so long.
    void add_drawn(std::size_t count, float length) {
        std::normal_distribution<float> normal;
        std::vector<float> vectors(count * dimensions_);
        for (float &x : vectors)
            x = length * normal(random_);
        add(vectors);
    }

    void add_line(std::size_t count) {
        std::vector<float> vectors(count * dimensions_, 0.0f);
        for (std::size_t i = 0; i < count; ++i)
            vectors[i * dimensions_] = 0.1f * static_cast<float>(i);
        add(vectors);
    }

    std::mt19937 random_{7};
};

// The far ones come first and are linked to each other. Each is nearer to any row of the line than
// to any of its kind, so a walk from the line sees only those that the line's ends have links to.
TEST_F(HiddenNodesTest, FarOnesBesideALine) {
    create(16);
    add_drawn(40, 100);
    add_line(300);
    link_all(1);
    ASSERT_GT(missed(0, 40), 10u);
    const HiddenReport report = show();
    EXPECT_EQ(report.looked_for, 340u);
    EXPECT_EQ(report.shown, report.hidden);
    EXPECT_EQ(missed(0, 340), 0u);
    EXPECT_EQ(reachable(), 340u);
}

TEST_F(HiddenNodesTest, CopiesOfFarOnes) {
    create(16);
    std::normal_distribution<float> normal(0, 100);
    std::vector<float> vectors;
    for (int kind = 0; kind < 40; ++kind) {
        std::vector<float> vector(16);
        for (float &x : vector)
            x = normal(random_);
        for (int copy = 0; copy < 30; ++copy)
            vectors.insert(vectors.end(), vector.begin(), vector.end());
    }
    add(vectors);
    add_line(300);
    link_all(1);
    ASSERT_GT(missed(0, 1200), 10u);
    show();
    EXPECT_EQ(missed(0, 1500), 0u);
}

// Threads that give links at the same time, in lists that others walk along.
TEST_F(HiddenNodesTest, SharedAmongThreadsBesideASearch) {
    create(16);
    add_drawn(200, 100);
    add_line(1500);
    link_all(1);
    const std::size_t before = missed(0, 200);
    ASSERT_GT(before, 20u);
    std::atomic<bool> done{false};
    std::thread searching([&] {
        const std::vector<float> query(16, 1.0f);
        do
            EXPECT_EQ(search(query.data(), usual_ef, 5).size(), 5u);
        while (!done.load());
    });
    const HiddenReport report = show(0, 4);
    done.store(true);
    searching.join();
    EXPECT_EQ(report.looked_for, 1700u);
    EXPECT_EQ(report.shown, report.hidden);
    EXPECT_LE(missed(0, 1700), before / 10);
    EXPECT_EQ(reachable(), 1700u);
}

// Among many others not every node is looked for, but those of which one can think.
TEST_F(HiddenNodesTest, OutliersAmongMany) {
    const std::size_t many = test::sanitized ? 6000 : 10000;
    create(32);
    add_drawn(40, 30);
    add_drawn(many, 1);
    link_all(1);
    const auto end = static_cast<NodeId>(40 + many);
    const std::size_t before = missed(0, 40);
    ASSERT_GT(before, 5u);
    const HiddenReport report = show();
    EXPECT_LT(report.looked_for, many / 4);
    EXPECT_LE(missed(0, 40), 1u);
    EXPECT_LE(missed(40, end, 7), 1u);
}

// Where one in some dozens is hidden, all are looked for: those of which one cannot think, too.
TEST_F(HiddenNodesTest, SomeAmongMany) {
    create(32);
    add_drawn(200, 30);
    add_drawn(3000, 1);
    link_all(1);
    const std::size_t before = missed(0, 200);
    ASSERT_GT(before, 3200u / 128);
    ASSERT_LT(before, 3200u / 16);
    const HiddenReport report = show();
    EXPECT_EQ(report.looked_for, 3200u);
    EXPECT_LE(missed(0, 3200), 2u);
}

// Where many are hidden, all are looked for.
TEST_F(HiddenNodesTest, LongAndShortDocuments) {
    const std::size_t documents = test::sanitized ? 2100 : 3000;
    constexpr std::size_t words = 1000;
    create(words);
    std::uniform_real_distribution<double> uniform;
    std::normal_distribution<double> normal;
    std::vector<float> vectors(documents * words, 0.0f);
    for (std::size_t i = 0; i < documents; ++i) {
        const std::size_t topic = random_() % 40;
        const int length = std::max(5, static_cast<int>(std::exp(4 + normal(random_))));
        for (int k = 0; k < length; ++k) {
            const auto rank = static_cast<std::size_t>(std::pow(words, uniform(random_))) - 1;
            const std::size_t word = random_() % 3 == 0 ? rank : (rank * 7 + topic * 131) % words;
            float &weight = vectors[i * words + word];
            weight = weight == 0 ? 1 : weight + 1 / weight;
        }
    }
    add(vectors);
    link_all(1);
    const auto end = static_cast<NodeId>(documents);
    const std::size_t before = missed(0, end, 5);
    ASSERT_GT(before, documents / 5 / 16);  // enough for all to be looked for
    const HiddenReport report = show();
    EXPECT_GE(report.looked_for, documents * 9 / 10);
    EXPECT_LT(missed(0, end, 5), before / 4);
    EXPECT_EQ(count_unreachable(*nodes_, params(), never_interrupted).value(), 0u);
}

TEST_F(HiddenNodesTest, WhoIsFoundGetsNoLink) {
    create(16);
    add(ClusteredData(1, {16, 10, 4, 0.1f}).make(1500));
    link_all(1);
    show();
    const auto before = test::read_bytes(directory_.file("nodes.1"));
    const HiddenReport report = show();
    EXPECT_EQ(report.hidden, 0u);
    EXPECT_EQ(test::read_bytes(directory_.file("nodes.1")), before);
}

TEST_F(HiddenNodesTest, NewOnesAreLookedFor) {
    create(16);
    add_line(2000);
    add_drawn(40, 100);
    add_line(1000);
    link_all(1);
    const HiddenReport report = show(2000);
    EXPECT_GE(report.looked_for, 40u);
    EXPECT_LT(report.looked_for, 1500u);
    EXPECT_EQ(missed(2000, 2040), 0u);
}

// They are not the nearest to their own vectors, nor among so many.
TEST_F(HiddenNodesTest, ByInnerProductShortVectorsAreNotHidden) {
    create(3, 16, Codes::as_usual, distance::Metric::inner_product);
    std::uniform_real_distribution<float> uniform;
    std::vector<float> vectors(3 * 2000);
    for (float &x : vectors)
        x = uniform(random_);
    add(vectors);
    link_all(1);
    const HiddenReport report = show();
    EXPECT_GT(report.looked_for, 1900u);
    EXPECT_LT(report.hidden, 20u);
}

TEST_F(HiddenNodesTest, NothingToLookFor) {
    create(16);
    EXPECT_EQ(show(), HiddenReport{});
    add_line(1);
    EXPECT_EQ(show(), HiddenReport{}) << "nothing is linked";
    link_all();
    EXPECT_EQ(show(), HiddenReport{}) << "it has no links";
    add_drawn(50, 1);
    link_all();
    for (NodeId id = 1; id < 51; ++id)
        nodes_->mark_deleted(id);
    EXPECT_LE(show().looked_for, 1u);
}

TEST_F(HiddenNodesTest, StopsAndRefuses) {
    create(16);
    add_line(100);
    link_all();
    const std::atomic<bool> stop{true};
    EXPECT_EQ(show_hidden(*nodes_, params(), {}, stop).status().code(), Code::interrupted);
    state_.linked.store(nodes_->mapped_slots() + 1);
    EXPECT_EQ(show_hidden(*nodes_, params(), {}, never_stop).status().code(), Code::corrupt);
}

}  // namespace
}  // namespace dvec::graph
