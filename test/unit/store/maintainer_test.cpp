// What the maintainer does beside linking and checkpoints: verifying payloads after an unclean
// start and making links sound that may hold anything.
#include "engine/store/maintainer.hpp"

#include <filesystem>

#include "../support/faulty_file_system.hpp"
#include "engine/store/preallocation.hpp"
#include "store_fixture.hpp"

namespace dvec::test {
namespace {

using base::Code;
using store::CheckpointKind;
using store::Start;

class StoreMaintainer : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_NO_FATAL_FAILURE(store_.build(300));
        ASSERT_EQ(store_.recover().start, Start::clean);
        index_ = store_.open();
        maintainer_ = store_.maintainer();
    }
    void crash() {
        index_.reset();
        maintainer_.reset();
        ASSERT_EQ(store_.recover().start, Start::replayed);
        index_ = store_.open();
        maintainer_ = store_.maintainer();
    }
    std::vector<store::Maintainer::Damaged> scrub(std::uint32_t limit) {
        auto damaged = maintainer_->scrub(limit);
        EXPECT_TRUE(damaged.ok()) << damaged.status().message();
        return std::move(damaged).value();
    }
    // Links that lead anywhere, as pages of another moment would hold.
    void scramble_links() {
        std::mt19937 random(5);
        for (graph::NodeId id = 0; id < 300; ++id)
            for (std::uint32_t i = 0; i < index_->nodes().layout().level0_links(); ++i)
                if (random() % 8 == 0)
                    index_->nodes().links(id)[i].store(static_cast<std::uint32_t>(random()));
    }

    StoreUnderTest store_;
    std::unique_ptr<store::Index> index_;
    std::unique_ptr<store::Maintainer> maintainer_;
    const std::atomic<bool> stop_{false};
};

TEST_F(StoreMaintainer, ACleanStartNeedsNoScrub) { EXPECT_FALSE(maintainer_->has_to_scrub()); }

TEST_F(StoreMaintainer, AnUncleanStartIsScrubbedOnceInPieces) {
    store_.insert(*index_, 300);
    crash();
    ASSERT_TRUE(maintainer_->has_to_scrub());
    for (int piece = 0; piece < 3; ++piece)
        EXPECT_EQ(scrub(100).size(), 0u);
    ASSERT_TRUE(maintainer_->has_to_scrub());
    store_.insert(*index_, 301);  // after the start: no need to look at it
    scrub(100);
    EXPECT_FALSE(maintainer_->has_to_scrub());
    EXPECT_EQ(store_.state->scrub_next.load(), 301u);
}

TEST_F(StoreMaintainer, ScrubbingFindsADamagedPayload) {
    store_.insert(*index_, 300);
    const std::uint64_t offset = index_->nodes().file_offset(123);
    flip_bits(store_.path("nodes.1"), offset + index_->nodes().layout().vector_offset + 9, 0x20);
    crash();
    const auto damaged = scrub(1000);
    ASSERT_EQ(damaged.size(), 1u);
    EXPECT_EQ(damaged[0].node, 123u);
    EXPECT_EQ(damaged[0].file, store_.path("nodes.1"));
    EXPECT_EQ(damaged[0].offset, offset);
}

TEST_F(StoreMaintainer, UnsoundLinksAreMadeSoundBeforeLinkingFollowsThem) {
    scramble_links();
    store_.state->links_unsound.store(1);
    for (Row row = 300; row < 360; ++row)
        store_.insert(*index_, row);
    expect_rows(*index_, row_range(0, 360));  // searches do not mind
    link_all(*maintainer_);
    EXPECT_EQ(store_.state->links_unsound.load(), 0u);
    expect_rows(*index_, row_range(0, 360));
    EXPECT_GE(recall(*index_, row_range(0, 360), 40), 0.985);
    for (graph::NodeId id = 0; id < 300; ++id) {
        const auto count = index_->nodes().slot(id)->link_count.load();
        for (std::uint32_t i = 0; i < count; ++i)
            EXPECT_LT(index_->nodes().links(id)[i].load(), 360u);
    }
}

TEST_F(StoreMaintainer, AGraphWithoutLinksIsLinkedAnew) {
    for (graph::NodeId id = 0; id < 300; ++id)
        index_->nodes().slot(id)->link_count.store(0);
    store_.state->links_unsound.store(1);
    const base::Status status = maintainer_->sanitize_links(stop_);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_TRUE(maintainer_->has_tail());
    expect_rows(*index_, row_range(0, 300));
    link_all(*maintainer_);
    EXPECT_GE(recall(*index_, row_range(0, 300), 40), 0.985);
}

TEST_F(StoreMaintainer, MakingLinksSoundCanBeStopped) {
    store_.state->links_unsound.store(1);
    const std::atomic<bool> stop{true};
    EXPECT_EQ(maintainer_->sanitize_links(stop).code(), Code::interrupted);
    EXPECT_EQ(store_.state->links_unsound.load(), 1u);
}

// ---- Room for rows to come -------------------------------------------------------------------

TEST_F(StoreMaintainer, RoomAheadSparesSessionsTheWork) {
    store_.insert(*index_, 300);
    ASSERT_TRUE(maintainer_->preallocate().ok());
    const std::uint32_t capacity = store_.state->graph.capacity.load();
    EXPECT_GE((capacity - 301u) * std::size_t{index_->nodes().layout().stride}, 4096u);
    EXPECT_GE(store_.state->log.ready_end.load() - store_.state->log.head.load(),
              store_.description.segment_bytes / 2);
    const log::Position ready_end = store_.state->log.ready_end.load();
    ASSERT_TRUE(maintainer_->preallocate().ok());
    EXPECT_EQ(store_.state->graph.capacity.load(), capacity) << "there was enough";
    EXPECT_EQ(store_.state->log.ready_end.load(), ready_end);
    for (Row row = 301; row < capacity; ++row)
        store_.insert(*index_, row);
    EXPECT_EQ(store_.state->graph.capacity.load(), capacity);
    expect_rows(*index_, row_range(0, capacity));
    crash();
    expect_rows(*index_, row_range(0, capacity));
}

// Rows and log of few rows stay small whatever is done to them; the rows of a large index find
// space.
TEST_F(StoreMaintainer, RoomAheadIsInProportion) {
    const graph::Layout &layout = index_->nodes().layout();
    store::SharedState state{};
    const auto room = [&](std::uint64_t bytes, std::uint64_t new_log) {
        state.graph.allocated.store(static_cast<std::uint32_t>(bytes / layout.stride));
        state.log.head.store(new_log);
        return store::preallocation_for(layout, state, 4u << 20);
    };
    EXPECT_LE(room(1000, 0).slot_bytes, 4096u);
    EXPECT_LE(room(1000, 0).log_bytes, 4096u);
    EXPECT_LE(room(2u << 20, 0).slot_bytes + room(2u << 20, 0).log_bytes, (2u << 20) / 16);
    EXPECT_EQ(room(1u << 30, 0).slot_bytes, 6u << 20);
    EXPECT_EQ(room(1u << 30, 0).log_bytes, 2u << 20);
    EXPECT_EQ(room(1000, 100u << 20).log_bytes, 2u << 20) << "where many rows come";
}

// 300 rows that change 100 times over: only what a restart needs of the log is kept.
TEST(StoreSmallIndex, ACheckpointLeavesASmallLog) {
    StoreUnderTest store;
    store.description.segment_bytes = 4u << 20;
    ASSERT_NO_FATAL_FAILURE(store.build(300));
    ASSERT_EQ(store.recover().start, Start::clean);
    auto index = store.open();
    auto maintainer = store.maintainer();
    const auto log_bytes = [&] {
        std::uint64_t bytes = 0;
        for (const auto &file : std::filesystem::directory_iterator(store.folder()))
            if (file.path().filename().string().starts_with("log."))
                bytes += file.file_size();
        return bytes;
    };
    store.insert(*index, 300);
    EXPECT_LE(log_bytes(), 16u << 10);
    for (Row row = 301; row < 30'000; ++row)
        store.insert(*index, row);
    const std::uint64_t before = log_bytes();
    EXPECT_GE(before, 2u << 20);
    EXPECT_LE(before, 4u << 20);
    FakeWal wal;
    ASSERT_TRUE(maintainer->checkpoint(wal, CheckpointKind::running).ok());
    EXPECT_LE(log_bytes(), 16u << 10);
    store.insert(*index, 30'000);
    ASSERT_TRUE(maintainer->checkpoint(wal, CheckpointKind::running).ok());
    EXPECT_LE(log_bytes(), 16u << 10) << "little to let go of";
}

TEST_F(StoreMaintainer, RoomAheadFollowsTheRows) {
    const std::uint64_t half = store_.description.segment_bytes / 2;
    for (Row row = 300; row < 3000; ++row) {
        store_.insert(*index_, row);
        ASSERT_TRUE(maintainer_->preallocate().ok());
        ASSERT_GE(store_.state->log.ready_end.load() - store_.state->log.head.load(), half);
        if (row % 100 == 0) {
            ASSERT_TRUE(maintainer_->link(100, stop_).ok());
        }
    }
    expect_rows(*index_, row_range(0, 3000));
}

TEST(StoreFullDiskAhead, IsNoConcernBeforeARowNeedsTheSpace) {
    FaultyFileSystem files;
    StoreUnderTest store(files);
    ASSERT_NO_FATAL_FAILURE(store.build(10));
    ASSERT_EQ(store.recover().start, Start::clean);
    auto index = store.open();
    auto maintainer = store.maintainer();
    store.insert(*index, 10);
    const std::uint32_t capacity = store.state->graph.capacity.load();
    for (Row row = 11; row < capacity - 2; ++row)
        store.insert(*index, row);
    files.plan().fail(Operation::allocate, 1, ENOSPC, Persistence::forever);
    files.plan().fail(Operation::write, 1, ENOSPC, Persistence::forever);
    EXPECT_TRUE(maintainer->preallocate().ok());
    EXPECT_EQ(store.state->graph.capacity.load(), capacity);
    store.insert(*index, capacity - 2);
    files.plan().heal();
    files.plan().fail(Operation::allocate, 1, EIO);
    EXPECT_EQ(maintainer->preallocate().code(), Code::io_error);
    EXPECT_TRUE(maintainer->preallocate().ok());
    EXPECT_GT(store.state->graph.capacity.load(), capacity);
    expect_rows(*index, row_range(0, capacity - 1));
}

}  // namespace
}  // namespace dvec::test
