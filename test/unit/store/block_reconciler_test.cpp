// An index that follows a table block by block has exactly its rows, whatever happens to the files.
#include "engine/store/block_reconciler.hpp"

#include "store_fixture.hpp"

namespace dvec::test {
namespace {

using base::Code;
using store::BlockReconciler;
using store::Repair;
using store::Start;

class StoreBlockReconciler : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_NO_FATAL_FAILURE(store_.build(200));
        ASSERT_EQ(store_.recover().start, Start::clean);
        index_ = store_.open();
    }
    void begin(Repair repair = Repair::changed_pages) {
        auto begun = BlockReconciler::begin(*index_, repair, nullptr);
        ASSERT_TRUE(begun.ok()) << begun.status().message();
        reconciler_ = std::move(begun).value();
    }
    void finish_batch() {
        ASSERT_TRUE(reconciler_->finish_block().ok());
        const base::Status removed = reconciler_->remove_gone();
        ASSERT_TRUE(removed.ok()) << removed.message();
    }
    // The block has these rows now, each with the vector of the row that `content` names.
    void read_block(std::uint32_t block, const std::map<Row, Row> &rows) {
        reconciler_->begin_batch();
        reconciler_->begin_block(block);
        for (const auto &[row, content] : rows) {
            const base::Status status =
                reconciler_->row(tid_of(row), lsn_, store_.vector(content).data());
            ASSERT_TRUE(status.ok()) << status.message();
        }
        finish_batch();
    }
    static std::map<Row, Row> same(Row begin, Row end) {
        std::map<Row, Row> rows;
        for (Row row = begin; row < end; ++row)
            rows[row] = row;
        return rows;
    }

    // Of 200 rows block 1 has lost those from this one on, and nothing else.
    void expect_rest_of_block_1(Row lost) {
        auto expected = row_range(0, lost);
        for (Row row = 100; row < 200; ++row)
            expected.insert(row);
        expect_rows(*index_, expected);
    }

    StoreUnderTest store_;
    std::unique_ptr<store::Index> index_;
    std::unique_ptr<BlockReconciler> reconciler_;
    std::uint64_t lsn_ = 0;  // at which blocks are read
};

TEST_F(StoreBlockReconciler, ABlockThatAgreesIsLeftAsItIs) {
    begin();
    for (std::uint32_t block = 0; block < 4; ++block)
        read_block(block, same(50 * block, 50 * block + 50));
    EXPECT_EQ(reconciler_->report().kept, 200u);
    EXPECT_EQ(reconciler_->report().added + reconciler_->report().removed, 0u);
    expect_rows(*index_, row_range(0, 200));
}

TEST_F(StoreBlockReconciler, RowsComeAndGoAndComeAgain) {
    begin();
    read_block(1, same(60, 80));
    read_block(5, same(250, 300));
    read_block(1, same(50, 70));
    read_block(5, {});
    auto expected = row_range(0, 70);
    for (Row row = 100; row < 200; ++row)
        expected.insert(row);
    expect_rows(*index_, expected);
    EXPECT_EQ(reconciler_->blocks_from(2), (std::vector<std::uint32_t>{2, 3}));
}

// A line pointer that was given to another row.
TEST_F(StoreBlockReconciler, AnEntryWithAnotherVectorGivesWay) {
    begin();
    auto rows = same(50, 100);
    rows[70] = 5000;
    read_block(1, rows);
    EXPECT_EQ(reconciler_->report().added, 1u);
    EXPECT_EQ(reconciler_->report().removed, 1u);
    read_block(1, rows);
    EXPECT_EQ(reconciler_->report().added, 1u);
    read_block(1, same(50, 100));
    expect_rows(*index_, row_range(0, 200));
}

// Versions of one row that is being updated in place share their line pointer and their vector.
TEST_F(StoreBlockReconciler, ARowThatIsGivenTwiceHasOneEntry) {
    begin();
    reconciler_->begin_block(9);
    for (int time = 0; time < 2; ++time)
        ASSERT_TRUE(reconciler_->row(tid_of(450), lsn_, store_.vector(450).data()).ok());
    finish_batch();
    EXPECT_EQ(reconciler_->report().added, 1u);
}

// Rows are put behind those that are there already, mostly.
TEST_F(StoreBlockReconciler, PartOfABlockLeavesTheRestAlone) {
    begin();
    const Row first = 70;
    reconciler_->begin_block(1, tid_of(first).offset);
    for (Row row = first; row < 90; ++row)
        ASSERT_TRUE(reconciler_->row(tid_of(row), lsn_, store_.vector(row).data()).ok());
    finish_batch();
    EXPECT_EQ(reconciler_->report().kept, 20u);
    EXPECT_EQ(reconciler_->report().removed, 10u);
    expect_rest_of_block_1(90);
}

TEST_F(StoreBlockReconciler, EntriesAreKeptByTheirOffsetsAlone) {
    begin();
    reconciler_->begin_block(1);
    for (Row row = 50; row < 80; ++row)
        reconciler_->keep(tid_of(row).offset);
    reconciler_->keep(tid_of(99).offset + 1);
    finish_batch();
    EXPECT_EQ(reconciler_->report().removed, 20u);
    EXPECT_EQ(reconciler_->report().added, 0u);
    expect_rest_of_block_1(80);
}

TEST_F(StoreBlockReconciler, DamagedPayloadsAreReadAnew) {
    const std::size_t stride = index_->nodes().layout().stride;
    const std::size_t vector = index_->nodes().layout().vector_offset;
    flip_bits(store_.path("nodes.1"), graph::file_header_bytes + 60 * stride + vector + 5, 4);
    begin(Repair::every_page);
    EXPECT_EQ(reconciler_->report().damaged, 1u);
    read_block(1, same(50, 100));
    EXPECT_EQ(reconciler_->report().added, 1u);
    expect_rows(*index_, row_range(0, 200));
}

// What was followed survives as what it is: an index that has to be compared with its table.
TEST_F(StoreBlockReconciler, ARestartKnowsThatRowsMayBeMissing) {
    store_.state->repair.store(Repair::changed_pages);
    begin();
    read_block(7, same(350, 360));
    ASSERT_TRUE(index_->sync_log().ok());
    FakeWal wal;
    ASSERT_TRUE(store_.maintainer()->checkpoint(wal, store::CheckpointKind::running).ok());
    reconciler_.reset();
    index_.reset();
    EXPECT_EQ(store_.recover().start, Start::repair);
    EXPECT_EQ(store_.state->repair.load(), Repair::changed_pages);
}

// Until then the caller makes sure that no restart brings their rows back.
TEST_F(StoreBlockReconciler, EntriesGoAtTheEndOfABatch) {
    begin();
    reconciler_->begin_batch();
    for (const std::uint32_t block : {1u, 2u}) {
        reconciler_->begin_block(block);
        ASSERT_TRUE(reconciler_->finish_block().ok());
    }
    EXPECT_TRUE(reconciler_->any_gone());
    expect_rows(*index_, row_range(0, 200));
    ASSERT_TRUE(reconciler_->remove_gone().ok());
    EXPECT_FALSE(reconciler_->any_gone());
    EXPECT_EQ(reconciler_->report().removed, 100u);
    auto expected = row_range(0, 50);
    for (Row row = 150; row < 200; ++row)
        expected.insert(row);
    expect_rows(*index_, expected);
    EXPECT_EQ(reconciler_->blocks_from(0), (std::vector<std::uint32_t>{0, 3}));
}

// A row that was not there may be when the block is read again.
TEST_F(StoreBlockReconciler, ABatchThatIsGivenUpRemovesNothing) {
    begin();
    reconciler_->begin_batch();
    reconciler_->begin_block(1);
    ASSERT_TRUE(reconciler_->finish_block().ok());
    read_block(1, same(50, 90));
    EXPECT_EQ(reconciler_->report().removed, 10u);
    expect_rest_of_block_1(90);
}

// The server comes back as of an LSN: what was read later is dropped and will be read again, but
// what was removed stays so.
TEST_F(StoreBlockReconciler, ARestartDropsRowsThatWereReadLaterThanItComes) {
    store_.state->repair.store(Repair::changed_pages);
    begin();
    lsn_ = 500;
    read_block(7, same(350, 360));
    lsn_ = 501;
    read_block(8, same(400, 410));
    read_block(1, same(50, 90));
    ASSERT_TRUE(index_->sync_log().ok());
    reconciler_.reset();
    index_.reset();
    const auto report = store_.recover(500);
    EXPECT_EQ(report.dropped, 10u);
    index_ = store_.open();
    auto expected = row_range(0, 90);
    for (Row row = 100; row < 200; ++row)
        expected.insert(row);
    for (Row row = 350; row < 360; ++row)
        expected.insert(row);
    expect_rows(*index_, expected);
}

}  // namespace
}  // namespace dvec::test
