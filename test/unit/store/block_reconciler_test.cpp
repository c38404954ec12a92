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
    // The block has these rows now, each with the vector of the row that `content` names.
    void read_block(std::uint32_t block, const std::map<Row, Row> &rows) {
        reconciler_->begin_block(block);
        for (const auto &[row, content] : rows) {
            const base::Status status =
                reconciler_->row(tid_of(row), store_.vector(content).data());
            ASSERT_TRUE(status.ok()) << status.message();
        }
        const base::Status finished = reconciler_->finish_block();
        ASSERT_TRUE(finished.ok()) << finished.message();
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
        ASSERT_TRUE(reconciler_->row(tid_of(450), store_.vector(450).data()).ok());
    ASSERT_TRUE(reconciler_->finish_block().ok());
    EXPECT_EQ(reconciler_->report().added, 1u);
}

// Rows are put behind those that are there already, mostly.
TEST_F(StoreBlockReconciler, PartOfABlockLeavesTheRestAlone) {
    begin();
    const Row first = 70;
    reconciler_->begin_block(1, tid_of(first).offset);
    for (Row row = first; row < 90; ++row)
        ASSERT_TRUE(reconciler_->row(tid_of(row), store_.vector(row).data()).ok());
    ASSERT_TRUE(reconciler_->finish_block().ok());
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
    ASSERT_TRUE(reconciler_->finish_block().ok());
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

}  // namespace
}  // namespace dvec::test
