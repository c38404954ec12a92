// Linking again what was linked in part: after an interruption, and after a crash that took the
// shared state and some payloads but left links to the lost nodes in the lists of others.
#include <cstring>
#include <thread>

#include "engine/graph/sanitize.hpp"
#include "test/unit/graph/graph_fixture.hpp"

namespace dvec::graph {
namespace {

using base::Code;

// For vectors of so many dimensions: some have codes, some not.
class RelinkTest : public GraphTest, public ::testing::WithParamInterface<std::uint32_t> {
  protected:
    const ClusteredShape shape_{GetParam(), 10, 4, 0.1f};

    // What a checkpoint would have kept.
    struct Checkpoint {
        std::uint32_t linked;
        std::uint64_t entry_point;
        std::uint32_t upper_allocated;
    };
    Checkpoint checkpoint() const {
        return {state_.linked.load(), state_.entry_point.load(), state_.upper_allocated.load()};
    }
    void restore(const Checkpoint &from) {
        state_.linked.store(from.linked);
        state_.entry_point.store(from.entry_point);
        state_.upper_allocated.store(from.upper_allocated);
    }
    // Forgets everything that lived in shared memory.
    void crash(const Checkpoint &from, std::uint32_t allocated) {
        nodes_.reset();
        std::memset(static_cast<void *>(&state_), 0, sizeof(state_));
        nodes_ = open_store(state_);
        restore(from);
        state_.allocated.store(allocated);
        ASSERT_TRUE(nodes_->refresh().ok());
    }
    void expect_good_graph(std::size_t reachable_nodes) {
        expect_sound_links();
        expect_reachable(reachable_nodes);
        for (NodeId id = 0; id < state_.linked.load(); ++id)
            EXPECT_EQ(links(id).empty(), !live(id) || is_twin(*nodes_, id)) << id;
        EXPECT_GE(recall(ClusteredData(2, shape_).make(30), 200, 10), 0.985);
    }
};

TEST_P(RelinkTest, StopBeforeTheStartPublishesNothing) {
    create(GetParam());
    add(ClusteredData(1, shape_).make(100));
    const auto linker = make_linker();
    const std::atomic<bool> stop{true};
    EXPECT_EQ(linker->link(100, stop).code(), Code::interrupted);
    EXPECT_EQ(state_.linked.load(), 0u);
    ASSERT_TRUE(linker->link(100, never_stop).ok());
    expect_good_graph(100);
}

TEST_P(RelinkTest, InterruptedBatchesCanBeLinkedAgain) {
    create(GetParam());
    add(ClusteredData(1, shape_).make(6000));
    const auto linker = make_linker(2);
    ASSERT_TRUE(linker->link(500, never_stop).ok());
    int interrupted = 0;
    for (int round = 0; round < 20; ++round) {
        std::atomic<bool> stop{false};
        std::thread stopper([&] {
            std::this_thread::sleep_for(std::chrono::microseconds(500 * (round + 1)));
            stop.store(true);
        });
        const NodeId before = state_.linked.load();
        const NodeId end = before + 300 + static_cast<NodeId>(round % 3) * 500;
        const base::Status status = linker->link(std::min<NodeId>(end, 6000), stop);
        stopper.join();
        if (status.code() == Code::interrupted) {
            ++interrupted;
            EXPECT_EQ(state_.linked.load(), before);
            // Readers meet links beyond `linked` now, and must not mind.
            EXPECT_EQ(search(reinterpret_cast<const float *>(nodes_->vector(5)), 40, 7000).size(),
                      6000u);
            // A shorter batch than the one that was stopped.
            ASSERT_TRUE(linker->link(before + 20, never_stop).ok());
        } else {
            ASSERT_TRUE(status.ok());
        }
    }
    EXPECT_GT(interrupted, 0);
    ASSERT_TRUE(linker->link(6000, never_stop).ok());
    expect_good_graph(6000);
}

TEST_P(RelinkTest, NodesAfterACheckpointAreLinkedAgain) {
    create(GetParam());
    const auto data = ClusteredData(1, shape_).make(3000);
    add(data);
    {
        const auto linker = make_linker();
        ASSERT_TRUE(linker->link(2000, never_stop).ok());
    }
    const Checkpoint before = checkpoint();
    link_all();
    const std::uint32_t blocks = state_.upper_allocated.load();
    std::vector<std::uint32_t> towers;
    for (NodeId id = 2000; id < 3000; ++id)
        towers.push_back(nodes_->slot(id)->upper.load());

    // Blocks counted on: the nodes keep theirs.
    crash({before.linked, before.entry_point, blocks}, 3000);
    link_all();
    EXPECT_EQ(state_.upper_allocated.load(), blocks);
    for (NodeId id = 2000; id < 3000; ++id)
        EXPECT_EQ(nodes_->slot(id)->upper.load(), towers[id - 2000]);
    expect_good_graph(3000);

    // Blocks counted back, and linked in smaller batches than before: no block may get two owners.
    crash(before, 3000);
    const auto linker = make_linker();
    for (NodeId end = 2100; end <= 3000; end += 100) {
        if (end == 2500)
            nodes_->mark_hole(2450);
        ASSERT_TRUE(linker->link(end, never_stop).ok());
        if (end == 2400)
            for (NodeId id = 2400; id < 2440; ++id)
                nodes_->mark_deleted(id);
        const auto report = sanitize_links(*nodes_, never_stop);
        ASSERT_TRUE(report.ok());
    }
    expect_sound_links();
    EXPECT_LE(state_.upper_allocated.load(), blocks);
}

TEST_P(RelinkTest, LostPayloadsBecomeHolesAndNobodyKeepsALinkToThem) {
    create(GetParam());
    const auto data = ClusteredData(1, shape_).make(3000);
    add(data);
    {
        const auto linker = make_linker();
        ASSERT_TRUE(linker->link(1500, never_stop).ok());
    }
    const Checkpoint before = checkpoint();
    link_all();

    // The log gives back all but every third node, one of them with another payload than before.
    crash(before, 3000);
    for (NodeId id = 1500; id < 3000; ++id) {
        if (id % 3 == 0) {
            nodes_->mark_hole(id);
        } else {
            nodes_->write_payload(id, tid_of(id),
                                  &data[std::size_t{id % 7 ? id : id - 1000} * dimensions_]);
            nodes_->publish(id);
        }
    }
    EXPECT_EQ(search(data.data(), 40, 5000).size(), 2500u);
    const auto report = sanitize_links(*nodes_, never_stop);
    ASSERT_TRUE(report.ok());
    EXPECT_GT(report.value().repairs, 0u) << "older nodes did have links to the lost ones";
    link_all();
    expect_good_graph(2500);
}

// The same without the sanitizing pass: links that lead to slots not linked yet, to holes, and to
// the node being linked itself.
TEST_P(RelinkTest, StaleLinksAreHarmlessToTheLinker) {
    create(GetParam());
    add(ClusteredData(1, shape_).make(3000));
    {
        const auto linker = make_linker();
        ASSERT_TRUE(linker->link(1500, never_stop).ok());
    }
    const Checkpoint before = checkpoint();
    link_all();
    crash({before.linked, before.entry_point, state_.upper_allocated.load()}, 3000);
    for (NodeId id = 1500; id < 3000; id += 5)
        nodes_->mark_hole(id);
    const auto linker = make_linker(2);
    for (NodeId end = 1700; end < 3000; end += 200) {
        ASSERT_TRUE(linker->link(end, never_stop).ok());
        for (NodeId id = end - 200; id < end; ++id) {
            EXPECT_EQ(links(id).empty(), !live(id));
            for (const NodeId target : links(id)) {
                EXPECT_LT(target, end) << "nobody may choose a node that is not linked yet";
                EXPECT_TRUE(live(target)) << "nor a hole";
            }
        }
    }
    ASSERT_TRUE(linker->link(3000, never_stop).ok());
    // Old nodes may still name holes; nothing else may be wrong.
    const auto report = sanitize_links(*nodes_, never_stop);
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(report.value().isolated, 0u);
    expect_good_graph(2700);
}

INSTANTIATE_TEST_SUITE_P(Dimensions, RelinkTest, ::testing::Values(16, 128),
                         ::testing::PrintToStringParamName());

}  // namespace
}  // namespace dvec::graph
