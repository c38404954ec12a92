// The repair of untrusted links: sound graphs are left alone, any damage ends in a graph that the
// linker can work on.
#include "engine/graph/sanitize.hpp"

#include <cstring>
#include <random>

#include "test/unit/graph/graph_fixture.hpp"

namespace dvec::graph {
namespace {

using base::Code;

constexpr ClusteredShape shape{16, 10, 4, 0.1f};

class SanitizeTest : public GraphTest {
  protected:
    SanitizeReport sanitize() {
        const auto report = sanitize_links(*nodes_, never_stop);
        EXPECT_TRUE(report.ok()) << report.status().message();
        return report.ok() ? report.value() : SanitizeReport{};
    }
    void build(std::size_t nodes, NodeId linked) {
        create(16);
        add(ClusteredData(1, shape).make(nodes));
        const auto linker = make_linker();
        ASSERT_TRUE(linker->link(linked, never_stop).ok());
    }
    NodeId first_of_level(int level) const {
        NodeId id = 0;
        while (node_level(id, 16) != level)
            ++id;
        return id;
    }
};

TEST_F(SanitizeTest, EmptyGraphIsSound) {
    create(16);
    EXPECT_EQ(sanitize(), SanitizeReport{});
}

TEST_F(SanitizeTest, SoundGraphIsNotTouched) {
    build(3000, 2500);
    for (NodeId id = 0; id < 3000; id += 10)
        nodes_->mark_deleted(id);
    const auto before = test::read_bytes(directory_.file("nodes.1"));
    EXPECT_EQ(sanitize(), SanitizeReport{});
    EXPECT_EQ(test::read_bytes(directory_.file("nodes.1")), before);
}

TEST_F(SanitizeTest, EachKindOfDamageIsCountedAndRepaired) {
    build(600, 500);
    const auto damage_one = [&](NodeId id, std::uint32_t value) {
        auto *words = list_words(id, 0);
        words[1].store(value);
    };
    damage_one(3, 500);  // not linked
    EXPECT_EQ(sanitize().repairs, 1u);
    damage_one(3, 0xFFFFFFFF);
    EXPECT_EQ(sanitize().repairs, 1u);
    damage_one(3, 3);  // itself
    EXPECT_EQ(sanitize().repairs, 1u);
    damage_one(3, links(3)[1]);  // twice
    EXPECT_EQ(sanitize().repairs, 1u);
    list_words(4, 0)->store(0xFFFF0000);  // a count
    EXPECT_GE(sanitize().repairs, 1u);
    expect_sound_links();

    nodes_->mark_hole(7);
    EXPECT_GE(sanitize().repairs, 1u) << "its own list and the links to it";
    expect_sound_links();

    const NodeId tall = first_of_level(1);
    list_words(tall, 1)[1].store(first_of_level(0));  // a target without this level
    list_words(tall, 1)[0].store(1);
    EXPECT_EQ(sanitize().repairs, 1u);
    nodes_->slot(tall)->upper.store(0xFFFFFFFF);
    EXPECT_GE(sanitize().repairs, 1u);
    EXPECT_EQ(nodes_->slot(tall)->upper.load(), 0u);
    nodes_->slot(first_of_level(0))->upper.store(1);
    EXPECT_EQ(sanitize().repairs, 1u);
    EXPECT_EQ(sanitize().repairs, 0u);
}

TEST_F(SanitizeTest, BlocksOfAnotherNodeAreNotAccepted) {
    build(600, 600);
    const NodeId tall = first_of_level(1);
    NodeId other = tall + 1;
    while (node_level(other, 16) != 1)
        ++other;
    nodes_->slot(tall)->upper.store(nodes_->slot(other)->upper.load());
    EXPECT_GE(sanitize().repairs, 1u);
    EXPECT_EQ(nodes_->slot(tall)->upper.load(), 0u);
    EXPECT_NE(nodes_->slot(other)->upper.load(), 0u);
}

TEST_F(SanitizeTest, BadEntryPointIsReplacedByTheHighestNode) {
    build(600, 500);
    const auto right = EntryPoint::unpack(state_.entry_point.load());
    for (const EntryPoint wrong : {EntryPoint{550, 0}, EntryPoint{right.id, right.level + 1},
                                   EntryPoint{0xFFFFFFFF, 7}, EntryPoint{}}) {
        state_.entry_point.store(EntryPoint::pack(wrong));
        EXPECT_EQ(sanitize().repairs, 1u);
        EXPECT_EQ(EntryPoint::unpack(state_.entry_point.load()).level, right.level);
    }
}

TEST_F(SanitizeTest, LostLinksAreReported) {
    build(300, 300);
    for (const NodeId id : {5u, 6u, 7u})
        list_words(id, 0)->store(0);
    nodes_->mark_deleted(7);
    EXPECT_EQ(sanitize(), (SanitizeReport{0, 2}));
}

TEST_F(SanitizeTest, StopsAndRefuses) {
    build(300, 300);
    const std::atomic<bool> stop{true};
    EXPECT_EQ(sanitize_links(*nodes_, stop).status().code(), Code::interrupted);
    state_.linked.store(nodes_->mapped_slots() + 1);
    EXPECT_EQ(sanitize_links(*nodes_, never_stop).status().code(), Code::corrupt);
}

TEST_F(SanitizeTest, AnyDamageEndsInAGraphThatCanBeLinkedOn) {
    build(3000, 2000);
    std::mt19937 random(11);
    for (int round = 0; round < 10; ++round) {
        for (int damage = 0; damage < 300; ++damage) {
            const NodeId id = random() % state_.linked.load();
            const std::uint32_t value = random() % 2 ? random() : random() % 4000;
            if (random() % 5 == 0)
                nodes_->slot(id)->upper.store(value % (random() % 2 ? 300 : ~0u));
            else
                nodes_->slot(id)->link_count.store(random() % 2 ? value : 32);
            list_words(id, 0)[1 + random() % 32].store(value);
            nodes_->upper_block(random() % state_.upper_allocated.load())[random() % 18].store(
                value);
        }
        if (round % 3 == 0)
            state_.entry_point.store(random());
        EXPECT_GT(sanitize().repairs, 0u);
        EXPECT_EQ(sanitize().repairs, 0u);
        const auto linker = make_linker(2);
        ASSERT_NE(linker, nullptr);
        ASSERT_TRUE(linker->link(state_.linked.load() + 100, never_stop).ok());
        EXPECT_EQ(sanitize().repairs, 0u) << "the linker did no new damage";
    }
}

}  // namespace
}  // namespace dvec::graph
