// The graph that the linker builds: whether it finds what is near, and what holds for every list.
#include "engine/graph/linker.hpp"

#include <cerrno>
#include <limits>

#include "test/unit/graph/graph_fixture.hpp"
#include "test/unit/support/sanitized.hpp"

namespace dvec::graph {
namespace {

using base::Code;
using test::Operation;
using test::Persistence;

class LinkerTest : public GraphTest {};

constexpr std::size_t many = test::sanitized ? 2000 : 15000;

TEST_F(LinkerTest, GraphAnswersLikeTheExactScan) {
    create(128);
    add(ClusteredData(1).make(many));
    link_all(2);
    EXPECT_EQ(state_.linked.load(), many);
    expect_sound_links();
    expect_reachable(many);
    const auto queries = ClusteredData(2).make(50);
    EXPECT_GE(recall(queries, 200, 10), 0.98);
    EXPECT_GE(recall(queries, 40, 10), 0.968);
}

TEST_F(LinkerTest, OneThreadAndManyBatchesServeAsWell) {
    create(128);
    constexpr std::size_t count = test::sanitized ? 600 : 2000;
    const auto data = ClusteredData(1).make(count);
    const auto linker = make_linker(1);
    for (std::size_t i = 0; i < count;) {
        // Batches of 1, 2, 3, ... nodes: the files grow under the linker.
        const std::size_t batch = std::min<std::size_t>(i / 10 + 1, count - i);
        add({data.begin() + static_cast<std::ptrdiff_t>(i * 128),
             data.begin() + static_cast<std::ptrdiff_t>((i + batch) * 128)});
        i += batch;
        ASSERT_TRUE(linker->link(static_cast<NodeId>(i), never_stop).ok());
        ASSERT_EQ(state_.linked.load(), i);
    }
    expect_sound_links();
    expect_reachable(count);
    EXPECT_GE(recall(ClusteredData(2).make(50), 200, 10), 0.98);
}

TEST_F(LinkerTest, EntryPointIsTheHighestNode) {
    create(8, 4);
    add(ClusteredData(1, {8, 4, 3, 0.1f}).make(3000));
    link_all(4);
    int highest = 0;
    for (NodeId id = 0; id < 3000; ++id)
        highest = std::max(highest, node_level(id, 4));
    const auto entry = EntryPoint::unpack(state_.entry_point.load());
    EXPECT_EQ(entry.level, highest);
    EXPECT_EQ(node_level(entry.id, 4), highest);
    expect_sound_links();
}

TEST_F(LinkerTest, EveryShapeOfLayoutWorks) {
    for (const std::uint32_t m : {2u, 3u, 5u, 13u, 100u}) {
        SCOPED_TRACE(m);
        test::TempDirectory directory;
        NodeStore::Params params{directory.path(), 1, Layout::make(m, 12)};
        ASSERT_TRUE(NodeStore::create_files(files_, params).ok());
        SharedState state{};
        auto store = NodeStore::open(files_, params, state).value().release();
        nodes_.reset(store);
        std::swap(params_, params);
        state_.allocated.store(0);
        kernel_ = *distance::find_kernel(distance::Element::float32, distance::Metric::l2_squared);
        dimensions_ = 3;
        const auto data = ClusteredData(1, {3, 4, 2, 0.1f}).make(500);
        ASSERT_TRUE(nodes_->reserve_slots(500).ok());
        ASSERT_TRUE(nodes_->refresh().ok());
        for (NodeId id = 0; id < 500; ++id) {
            nodes_->write_payload(id, tid_of(id), &data[std::size_t{id} * 3]);
            nodes_->publish(id);
        }
        state.allocated.store(500);
        const auto linker = make_linker(2);
        ASSERT_TRUE(linker->link(500, never_stop).ok());
        Search search;
        ASSERT_TRUE(
            search.start(*nodes_, Watermarks::load(state), data.data(), search_params(500)).ok());
        EXPECT_EQ(search.next().value()->distance, 0.0f);
        nodes_.reset();
    }
}

TEST_F(LinkerTest, EqualAndInfinitelyDistantVectorsAreLinked) {
    create(4);
    std::vector<float> data;
    const float huge = std::numeric_limits<float>::max();
    for (int i = 0; i < 600; ++i)
        for (int d = 0; d < 4; ++d)
            data.push_back(i % 3 == 0   ? 1.0f
                           : i % 3 == 1 ? (d % 2 ? huge : -huge)
                                        : static_cast<float>(i));
    add(data);
    link_all();
    expect_sound_links();
    const float query[4] = {1, 1, 1, 1};
    const auto hits = search(query, 40, 1000);
    ASSERT_EQ(hits.size(), 600u);
    EXPECT_EQ(hits.front().distance, 0.0f);
    EXPECT_EQ(hits.back().distance, std::numeric_limits<float>::infinity());
}

TEST_F(LinkerTest, InnerProductThatOverflowsToNotANumberIsLinked) {
    create(4);
    kernel_ = *distance::find_kernel(distance::Element::float32, distance::Metric::inner_product);
    std::vector<float> data;
    for (int i = 0; i < 400; ++i)
        for (int d = 0; d < 4; ++d)
            data.push_back((d < 2 ? 3e38f : -3e38f) * (i % 2 ? 1 : 0.5f));
    add(data);
    link_all();
    expect_sound_links();
    EXPECT_EQ(search(data.data(), 10, 1000).size(), 400u);
}

TEST_F(LinkerTest, HolesAndDeletedNodesArePassedOver) {
    create(16);
    add(ClusteredData(1, {16, 10, 4, 0.1f}).make(1000));
    for (NodeId id = 0; id < 1000; ++id) {
        if (id < 20 || id % 5 == 1)
            nodes_->mark_hole(id);
        if (id % 5 == 3)
            nodes_->mark_deleted(id);
    }
    link_all();
    expect_sound_links();
    EXPECT_EQ(state_.linked.load(), 1000u);
    std::size_t alive = 0;
    for (NodeId id = 0; id < 1000; ++id) {
        alive += live(id);
        EXPECT_EQ(live(id), !links(id).empty());
        for (const NodeId target : links(id))
            EXPECT_TRUE(live(target));
    }
    expect_reachable(alive);
}

TEST_F(LinkerTest, AllHolesLeaveTheGraphEmptyUntilALiveNodeComes) {
    create(8);
    const auto data = ClusteredData(1, {8, 4, 2, 0.1f}).make(50);
    add(data);
    for (NodeId id = 0; id < 50; ++id)
        nodes_->mark_hole(id);
    const auto linker = make_linker();
    ASSERT_TRUE(linker->link(50, never_stop).ok());
    EXPECT_EQ(EntryPoint::unpack(state_.entry_point.load()).level, -1);
    EXPECT_TRUE(search(data.data(), 10, 10).empty());
    add(data);
    ASSERT_TRUE(linker->link(100, never_stop).ok());
    EXPECT_GE(EntryPoint::unpack(state_.entry_point.load()).id, 50u);
    expect_reachable(50u);
}

TEST_F(LinkerTest, NodesDeletedLaterStillLeadToOthers) {
    create(16);
    add(ClusteredData(1, {16, 10, 4, 0.1f}).make(2000));
    const auto linker = make_linker();
    ASSERT_TRUE(linker->link(1000, never_stop).ok());
    for (NodeId id = 0; id < 1000; ++id)
        nodes_->mark_deleted(id);
    ASSERT_TRUE(linker->link(2000, never_stop).ok());
    expect_sound_links();
    EXPECT_GE(recall(ClusteredData(2, {16, 10, 4, 0.1f}).make(30), 100, 10), 0.985);
}

TEST_F(LinkerTest, RefusesIdsThatAreNotAllocated) {
    create(8);
    add(ClusteredData(1, {8, 4, 2, 0.1f}).make(10));
    const auto linker = make_linker();
    EXPECT_EQ(linker->link(11, never_stop).code(), Code::invalid_argument);
    EXPECT_TRUE(linker->link(10, never_stop).ok());
    EXPECT_TRUE(linker->link(5, never_stop).ok()) << "linked already";
    EXPECT_EQ(state_.linked.load(), 10u);
}

TEST_F(LinkerTest, FullDiskLeavesTheBatchForLater) {
    create(8, 2);
    const auto data = ClusteredData(1, {8, 4, 2, 0.1f}).make(2000);
    add(data);
    const auto linker = make_linker();
    files_.plan().fail(Operation::allocate, 1, ENOSPC, Persistence::forever);
    EXPECT_EQ(linker->link(2000, never_stop).code(), Code::no_space);
    EXPECT_EQ(state_.linked.load(), 0u);
    EXPECT_EQ(state_.upper_allocated.load(), 0u);
    EXPECT_EQ(search(data.data(), 10, 5000).size(), 2000u) << "all of it is still in the tail";
    files_.plan().heal();
    ASSERT_TRUE(linker->link(2000, never_stop).ok());
    expect_sound_links();
}

TEST_F(LinkerTest, TakesOverAGraphThatExists) {
    create(16);
    const auto data = ClusteredData(1, {16, 10, 4, 0.1f}).make(3000);
    const std::size_t half = data.size() / 2;
    add({data.begin(), data.begin() + static_cast<std::ptrdiff_t>(half)});
    link_all();
    add({data.begin() + static_cast<std::ptrdiff_t>(half), data.end()});
    link_all();
    expect_sound_links();
    expect_reachable(3000u);
    EXPECT_GE(recall(ClusteredData(2, {16, 10, 4, 0.1f}).make(30), 200, 10), 0.985);
}

TEST_F(LinkerTest, RefusesAnEntryPointThatIsNotLinked) {
    create(8);
    add(ClusteredData(1, {8, 4, 2, 0.1f}).make(10));
    for (const EntryPoint entry : {EntryPoint{3, 0}, EntryPoint{0xFFFFFFFF, 5}}) {
        state_.entry_point.store(EntryPoint::pack(entry));
        const auto linker = Linker::create(*nodes_, {kernel_, dimensions_, 64, 1});
        EXPECT_EQ(linker.status().code(), Code::corrupt);
    }
}

}  // namespace
}  // namespace dvec::graph
