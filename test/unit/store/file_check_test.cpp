// A flipped byte anywhere in any file of an index is either found or without consequence.
#include <filesystem>
#include <thread>

#include "engine/store/file_check.hpp"
#include "store_fixture.hpp"

namespace dvec::test {
namespace {

using store::CheckpointKind;
using store::DamagedPart;
using store::Finding;
using store::Start;

class StoreFileCheck : public testing::Test {
  protected:
    // Linked, checkpointed and merely logged rows, some removed.
    void SetUp() override {
        ASSERT_NO_FATAL_FAILURE(store_.build(60));
        ASSERT_EQ(store_.recover().start, Start::clean);
        index_ = store_.open();
        auto maintainer = store_.maintainer();
        for (Row row = 60; row < 80; ++row)
            store_.insert(*index_, row);
        link_all(*maintainer);
        FakeWal wal;
        ASSERT_TRUE(maintainer->checkpoint(wal, CheckpointKind::running).ok());
        for (Row row = 80; row < 90; ++row)
            store_.insert(*index_, row);
        rows_ = row_range(0, 90);
        for (const Row row : {3u, 70u, 85u}) {
            ASSERT_TRUE(index_->remove(row, 0).ok());
            rows_.erase(row);
        }
    }
    std::vector<Finding> check() {
        std::vector<Finding> findings;
        store::FileCheckCalls calls;
        calls.report = [&](const Finding &finding) { findings.push_back(finding); };
        const base::Status status = store::check_files(*index_, calls);
        EXPECT_TRUE(status.ok()) << status.message();
        return findings;
    }
    bool rows_are_right() {
        const auto query = store_.vector(7);
        std::set<Row> found;
        for (const graph::Hit &hit : all_hits(*index_, query)) {
            const Row row = row_of(hit.tid);
            if (!found.insert(row).second ||
                hit.distance != distance_between(*index_, query, store_.vector(row)))
                return false;
        }
        return found == rows_;
    }

    StoreUnderTest store_;
    std::unique_ptr<store::Index> index_;
    std::set<Row> rows_;
};

TEST_F(StoreFileCheck, ASoundIndexHasNoFindings) {
    EXPECT_EQ(check().size(), 0u);
    auto maintainer = store_.maintainer();
    link_all(*maintainer);
    EXPECT_EQ(check().size(), 0u);
    FakeWal wal;
    ASSERT_TRUE(maintainer->checkpoint(wal, CheckpointKind::clean).ok());
    EXPECT_EQ(check().size(), 0u);
}

// Bytes that nobody reads before they are written are left out, padding is not.
TEST_F(StoreFileCheck, AFlippedByteOfTheNodesIsFoundOrHarmless) {
    const std::uint64_t end = index_->nodes().file_offset(store_.state->graph.allocated.load());
    int found = 0;
    for (std::uint64_t offset = graph::file_header_bytes; offset < end; offset += 3) {
        flip_bits(store_.path("nodes.1"), offset, 0xA5);
        const auto findings = check();
        if (findings.empty()) {
            EXPECT_TRUE(rows_are_right()) << "offset " << offset;
        } else {
            ++found;
            EXPECT_EQ(findings[0].file, store_.path("nodes.1"));
            EXPECT_LE(findings[0].offset, offset);
        }
        flip_bits(store_.path("nodes.1"), offset, 0xA5);
    }
    EXPECT_GT(found, 100);
    EXPECT_EQ(check().size(), 0u);
}

class StoreFileCheckOfCodes : public StoreFileCheck {
  protected:
    void SetUp() override {
        store_.description.dimensions = 130;
        StoreFileCheck::SetUp();
    }
};

TEST_F(StoreFileCheckOfCodes, AFlippedByteOfACodeIsFound) {
    EXPECT_EQ(check().size(), 0u);
    const graph::Layout &layout = index_->nodes().layout();
    ASSERT_EQ(layout.code_bytes, 146u);
    // Linked and in the tail; a removed row's too, since its node leads on to others.
    for (const graph::NodeId id : {0u, 70u, 75u, 89u})
        for (std::uint32_t at = 0; at < layout.code_bytes; at += 7) {
            const std::uint64_t offset = index_->nodes().file_offset(id) + layout.code_offset + at;
            flip_bits(store_.path("nodes.1"), offset, 8);
            const auto findings = check();
            ASSERT_FALSE(findings.empty()) << "node " << id << " byte " << at;
            EXPECT_EQ(findings[0].offset, index_->nodes().file_offset(id));
            flip_bits(store_.path("nodes.1"), offset, 8);
        }
    EXPECT_EQ(check().size(), 0u);
}

TEST_F(StoreFileCheck, AFlippedByteOfTheUpperLinksIsFoundOrHarmless) {
    const std::uint64_t end =
        graph::file_header_bytes + std::uint64_t{store_.state->graph.upper_allocated.load()} *
                                       index_->nodes().layout().upper_block_bytes;
    int found = 0;
    for (std::uint64_t offset = graph::file_header_bytes; offset < end; ++offset) {
        flip_bits(store_.path("upper.1"), offset, 0xA5);
        found += !check().empty();
        EXPECT_TRUE(rows_are_right()) << "offset " << offset;
        flip_bits(store_.path("upper.1"), offset, 0xA5);
    }
    EXPECT_GT(found, 50);
}

TEST_F(StoreFileCheck, AFlippedByteOfTheLogIsFoundUnlessItIsPadding) {
    const log::Position begin = store_.state->checkpoint_position.load();
    const log::Position end = store_.state->log.head.load();
    const std::uint64_t bytes = store_.description.segment_bytes;
    int missed = 0;
    for (log::Position position = begin; position < end; ++position) {
        const std::string file = store_.path("log." + std::to_string(position / bytes));
        flip_bits(file, position % bytes, 0x40);
        const auto findings = check();
        missed += findings.empty();
        for (const Finding &finding : findings)
            EXPECT_EQ(finding.part, DamagedPart::log);
        flip_bits(file, position % bytes, 0x40);
    }
    EXPECT_LT(missed, 13 * 8) << "the padding of 13 records, and the end of a segment";
}

TEST_F(StoreFileCheck, AFlippedByteOfTheCheckpointIsFound) {
    for (std::size_t offset = 0; offset < sizeof(store::CheckpointRecord); ++offset)
        for (const std::size_t block : {std::size_t{0}, store::checkpoint_block_bytes}) {
            flip_bits(store_.path("checkpoint"), block + offset, 1);
            const auto findings = check();
            ASSERT_EQ(findings.size(), 1u) << offset;
            EXPECT_EQ(findings[0].part, DamagedPart::checkpoint);
            EXPECT_EQ(findings[0].offset, block);
            flip_bits(store_.path("checkpoint"), block + offset, 1);
        }
}

TEST_F(StoreFileCheck, LostLinksAreNoticed) {
    link_all(*store_.maintainer());
    const auto entry = graph::EntryPoint::unpack(store_.state->graph.entry_point.load());
    index_->nodes().slot(entry.id)->link_count.store(0);
    for (std::uint32_t block = 0; block < store_.state->graph.upper_allocated.load(); ++block)
        index_->nodes().upper_block(block)[0].store(0);
    const auto findings = check();
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].part, DamagedPart::links);
    EXPECT_TRUE(rows_are_right());
}

TEST_F(StoreFileCheck, FindsNothingInAnIndexThatIsChanging) {
    std::atomic<bool> done{false};
    std::thread writer([&] {
        auto index = store_.open();
        auto maintainer = store_.maintainer();
        FakeWal wal;
        for (Row row = 100; row < 1500; ++row) {
            store_.insert(*index, row);
            if (row % 50 == 0)
                link_all(*maintainer);
            if (row % 200 == 0) {
                EXPECT_TRUE(maintainer->checkpoint(wal, CheckpointKind::running).ok());
            }
        }
        done.store(true);
    });
    while (!done.load())
        for (const Finding &finding : check())
            ADD_FAILURE() << finding.file << " " << finding.offset << " " << finding.problem;
    writer.join();
    EXPECT_EQ(check().size(), 0u);
}

}  // namespace
}  // namespace dvec::test
