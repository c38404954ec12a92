// Every live node is reached by links in the end, whatever cut it off, and nobody is cut off for
// it.
#include "engine/graph/reachability.hpp"

#include <random>

#include "test/unit/graph/graph_fixture.hpp"

namespace dvec::graph {
namespace {

using base::Code;

constexpr ClusteredShape shape{16, 10, 4, 0.1f};

class ReachabilityTest : public GraphTest {
  protected:
    ReachabilityReport connect() {
        const auto report = connect_unreachable(*nodes_, {kernel_, dimensions_, 64}, never_stop);
        EXPECT_TRUE(report.ok()) << report.status().message();
        return report.ok() ? report.value() : ReachabilityReport{};
    }
    std::size_t unreachable() {
        return count_unreachable(*nodes_, {kernel_, dimensions_, 64}, never_interrupted).value();
    }
    void build(std::size_t nodes) {
        create(16);
        add(ClusteredData(1, shape).make(nodes));
        link_all();
        connect();
        ASSERT_EQ(reachable(), nodes);
    }
    // Takes all level-0 links away that lead from outside into the group.
    template <class InGroup>
    void cut_off(InGroup in_group) {
        for (NodeId id = 0; id < state_.linked.load(); ++id) {
            if (in_group(id))
                continue;
            auto *words = list_words(id, 0);
            std::uint32_t kept = 0;
            for (const NodeId target : links(id))
                if (!in_group(target))
                    words[++kept].store(target);
            words[0].store(kept);
        }
    }
    // Fills every list with links to nodes that are reached anyway, so that room has to be made.
    void crowd() {
        std::mt19937 random(3);
        for (NodeId id = 0; id < state_.linked.load(); ++id) {
            std::vector<NodeId> list = links(id);
            while (list.size() < 32) {
                const NodeId target = list[random() % list.size()];
                const auto further = links(target);
                const NodeId candidate = further[random() % further.size()];
                if (candidate == id || std::find(list.begin(), list.end(), candidate) != list.end())
                    break;
                list.push_back(candidate);
            }
            for (std::size_t i = 0; i < list.size(); ++i)
                list_words(id, 0)[i + 1].store(list[i]);
            list_words(id, 0)->store(static_cast<std::uint32_t>(list.size()));
        }
    }
    std::size_t found_by_own_vector(NodeId first, NodeId last) {
        std::size_t found = 0;
        for (NodeId id = first; id < last; ++id) {
            const auto hits = search(reinterpret_cast<const float *>(nodes_->vector(id)), 40, 1);
            found += hits.size() == 1 && hits[0].id == id;
        }
        return found;
    }
};

TEST_F(ReachabilityTest, NothingToDo) {
    create(16);
    EXPECT_EQ(connect(), ReachabilityReport{});
    add(ClusteredData(1, shape).make(1));
    EXPECT_EQ(connect(), ReachabilityReport{}) << "nothing is linked";
    link_all();
    EXPECT_EQ(connect(), ReachabilityReport{});
}

TEST_F(ReachabilityTest, AReachableGraphIsNotTouched) {
    build(2000);
    const auto before = test::read_bytes(directory_.file("nodes.1"));
    EXPECT_EQ(connect(), ReachabilityReport{});
    EXPECT_EQ(test::read_bytes(directory_.file("nodes.1")), before);
}

TEST_F(ReachabilityTest, AGroupThatWasCutOffIsFoundAgain) {
    build(3000);
    const auto entry = EntryPoint::unpack(state_.entry_point.load());
    const auto in_group = [&](NodeId id) { return id % 10 == 3 && id != entry.id; };
    cut_off(in_group);
    ASSERT_LT(reachable(), 2800u);
    EXPECT_EQ(unreachable(), 3000 - reachable());
    const ReachabilityReport report = connect();
    EXPECT_GT(report.connected, 0u);
    EXPECT_EQ(unreachable(), 0u);
    EXPECT_EQ(reachable(), 3000u);
    expect_sound_links();
    EXPECT_EQ(connect(), ReachabilityReport{});
    EXPECT_GE(found_by_own_vector(0, 3000), 2990u);
}

TEST_F(ReachabilityTest, FullListsMakeRoomAndNobodyIsLost) {
    build(3000);
    for (int round = 0; round < 5; ++round) {
        crowd();
        const auto entry = EntryPoint::unpack(state_.entry_point.load());
        std::mt19937 random(static_cast<unsigned>(round));
        std::vector<bool> group(3000, false);
        for (int i = 0; i < 300; ++i)
            group[random() % 3000] = true;
        group[entry.id] = false;
        cut_off([&](NodeId id) { return group[id]; });
        crowd();
        cut_off([&](NodeId id) { return group[id]; });
        // Full again, without those that were cut off.
        ASSERT_LT(reachable(), 2900u);
        connect();
        EXPECT_EQ(unreachable(), 0u);
        EXPECT_EQ(reachable(), 3000u);
        expect_sound_links();
    }
}

TEST_F(ReachabilityTest, ALoneNodeWithoutLinksComesBack) {
    build(500);
    const NodeId lone = 77;
    cut_off([](NodeId id) { return id == lone; });
    list_words(lone, 0)->store(0);
    EXPECT_EQ(connect(), (ReachabilityReport{1, 0}));
    EXPECT_EQ(reachable(), 500u);
    EXPECT_FALSE(links(lone).empty()) << "and leads back";
}

TEST_F(ReachabilityTest, RowsThatAreGoneNeedNotBeReached) {
    build(500);
    cut_off([](NodeId id) { return id == 77; });
    nodes_->mark_deleted(77);
    EXPECT_EQ(connect(), ReachabilityReport{});
}

TEST_F(ReachabilityTest, ByInnerProductShortVectorsAreLeftOut) {
    create(3);
    kernel_ = *distance::find_kernel(distance::Element::float32, distance::Metric::inner_product);
    std::mt19937 random(7);
    std::uniform_real_distribution<float> uniform;
    std::vector<float> vectors(3 * 4000);
    for (float &x : vectors)
        x = uniform(random);
    add(vectors);
    link_all();
    const std::size_t reached = reachable();
    ASSERT_LT(reached, 3000u);
    const ReachabilityReport report = connect();
    EXPECT_EQ(unreachable(), 0u);
    EXPECT_LT(report.connected, 40u);
    // A long one is an answer to queries, and comes back.
    NodeId longest = 0;
    for (NodeId id = 0; id < 4000; ++id)
        if (vectors[3 * id] + vectors[3 * id + 1] + vectors[3 * id + 2] >
            vectors[3 * longest] + vectors[3 * longest + 1] + vectors[3 * longest + 2])
            longest = id;
    const auto entry = EntryPoint::unpack(state_.entry_point.load());
    ASSERT_NE(entry.id, longest);
    cut_off([&](NodeId id) { return id == longest; });
    EXPECT_EQ(connect(), (ReachabilityReport{1, 0}));
}

TEST_F(ReachabilityTest, LinksToTheTailGiveWay) {
    build(500);
    add(ClusteredData(5, shape).make(50));
    cut_off([](NodeId id) { return id == 77; });
    // As a crash leaves lists whose later neighbours have to be linked again.
    for (NodeId id = 0; id < 500; ++id) {
        auto *words = list_words(id, 0);
        for (std::uint32_t i = words[0].load() + 1; i <= 32; ++i)
            words[i].store(500 + i);
        words[0].store(32);
    }
    EXPECT_EQ(connect(), (ReachabilityReport{1, 0}));
    bool linked = false;
    for (NodeId id = 0; id < 500; ++id)
        for (const NodeId target : links(id))
            linked = linked || target == 77;
    EXPECT_TRUE(linked);
}

// However many were cut off.
TEST_F(ReachabilityTest, AFewAreLeftAndAllComeBack) {
    build(4000);
    const auto entry = EntryPoint::unpack(state_.entry_point.load());
    cut_off([&](NodeId id) { return id % 20 != 3 && id != entry.id; });
    for (NodeId id = 0; id < 4000; ++id)
        if (id % 20 != 3 && id != entry.id)
            list_words(id, 0)->store(0);
    ASSERT_EQ(unreachable(), 4000 - reachable());
    ASSERT_GT(unreachable(), 3700u);
    connect();
    EXPECT_EQ(reachable(), 4000u);
    expect_sound_links();
}

// A walk that begins in a group must find the way out of it.
TEST_F(ReachabilityTest, EveryGroupHasAWayBack) {
    build(2000);
    const auto entry = EntryPoint::unpack(state_.entry_point.load());
    const auto in_group = [&](NodeId id) { return id % 8 == 5 && id != entry.id; };
    for (NodeId id = 0; id < 2000; ++id) {
        if (!in_group(id))
            continue;
        std::uint32_t kept = 0;
        for (const NodeId target : links(id))
            if (in_group(target))
                list_words(id, 0)[++kept].store(target);
        list_words(id, 0)->store(kept);
    }
    const ReachabilityReport report = connect();
    EXPECT_GT(report.returned, 0u);
    EXPECT_EQ(reachable(), 2000u);
    EXPECT_EQ(connect(), ReachabilityReport{});
    // From every node there is a way to the entry point.
    std::vector<std::vector<NodeId>> from(2000);
    for (NodeId id = 0; id < 2000; ++id)
        for (const NodeId target : links(id))
            from[target].push_back(id);
    std::vector<bool> leads(2000, false);
    std::vector<NodeId> open{entry.id};
    leads[entry.id] = true;
    for (std::size_t i = 0; i < open.size(); ++i)
        for (const NodeId id : from[open[i]])
            if (!leads[id]) {
                leads[id] = true;
                open.push_back(id);
            }
    EXPECT_EQ(open.size(), 2000u);
}

TEST_F(ReachabilityTest, StopsAndRefuses) {
    build(500);
    cut_off([](NodeId id) { return id == 77; });
    const std::atomic<bool> stop{true};
    EXPECT_EQ(connect_unreachable(*nodes_, {kernel_, dimensions_, 64}, stop).status().code(),
              Code::interrupted);
    state_.linked.store(nodes_->mapped_slots() + 1);
    EXPECT_EQ(connect_unreachable(*nodes_, {kernel_, dimensions_, 64}, never_stop).status().code(),
              Code::corrupt);
}

}  // namespace
}  // namespace dvec::graph
