// What a repair leaves: exactly the rows of the table, whatever the files said before.
#include "store_fixture.hpp"

namespace dvec::test {
namespace {

using base::Code;
using store::Reconciler;
using store::Repair;
using store::Start;

// For vectors of so many dimensions: some have codes, some not.
class StoreReconciler : public testing::TestWithParam<std::uint32_t> {
  protected:
    void SetUp() override {
        store_.description.dimensions = GetParam();
        ASSERT_NO_FATAL_FAILURE(store_.build(200));
        ASSERT_EQ(store_.recover().start, Start::clean);
        index_ = store_.open();
    }
    std::unique_ptr<Reconciler> begin(Repair repair) {
        auto reconciler = Reconciler::begin(*index_, repair, nullptr);
        EXPECT_TRUE(reconciler.ok()) << reconciler.status().message();
        return std::move(reconciler).value();
    }
    void give(Reconciler &reconciler, Row row) {
        const base::Status status = reconciler.row(tid_of(row), 0, store_.vector(row).data());
        ASSERT_TRUE(status.ok()) << status.message();
    }

    StoreUnderTest store_;
    std::unique_ptr<store::Index> index_;
};

TEST_P(StoreReconciler, AnIndexThatAgreesIsLeftAsItIs) {
    const auto report = repair(*index_, row_range(0, 200));
    EXPECT_EQ(report.kept, 200u);
    EXPECT_EQ(report.added + report.removed + report.damaged, 0u);
    expect_rows(*index_, row_range(0, 200));
}

TEST_P(StoreReconciler, AddsAndRemovesUntilTheTableIsMet) {
    const auto report = repair(*index_, row_range(150, 320));
    EXPECT_EQ(report.kept, 50u);
    EXPECT_EQ(report.added, 120u);
    EXPECT_EQ(report.removed, 150u);
    expect_rows(*index_, row_range(150, 320));
}

// A TID that was given to another row while the index did not look.
TEST_P(StoreReconciler, AnEntryWithAnotherVectorGivesWay) {
    auto reconciler = begin(Repair::changed_pages);
    for (Row row = 50; row < 100; ++row) {
        const Row content = row == 70 ? 5000 : row;
        ASSERT_TRUE(reconciler->row(tid_of(row), 0, store_.vector(content).data()).ok());
    }
    ASSERT_TRUE(reconciler->finish_blocks(1, 2, 0).ok());
    FakeWal wal;
    ASSERT_TRUE(reconciler->complete(4, wal, 0).ok());
    EXPECT_EQ(reconciler->report().added, 1u);
    EXPECT_EQ(reconciler->report().removed, 1u);
    const auto query = store_.vector(5000);
    const auto hits = all_hits(*index_, query);
    ASSERT_EQ(hits.size(), 200u);
    EXPECT_EQ(hits.front().tid, tid_of(70));
    EXPECT_EQ(hits.front().distance, 0);
}

TEST_P(StoreReconciler, BlocksThatWereNotReadKeepTheirEntries) {
    auto reconciler = begin(Repair::changed_pages);
    ASSERT_TRUE(reconciler->finish_blocks(1, 2, 0).ok());  // rows 50 to 99 are gone
    FakeWal wal;
    ASSERT_TRUE(reconciler->complete(3, wal, 0).ok());  // and those from 150 on
    std::set<Row> rows = row_range(0, 50);
    rows.merge(row_range(100, 150));
    expect_rows(*index_, rows);
}

TEST_P(StoreReconciler, DamagedPayloadsAreReplaced) {
    const std::size_t stride = index_->nodes().layout().stride;
    const std::size_t vector = index_->nodes().layout().vector_offset;
    index_->ready_to_write().ok();
    flip_bits(store_.path("nodes.1"), graph::file_header_bytes + 7 * stride + vector + 5, 4);
    flip_bits(store_.path("nodes.1"), graph::file_header_bytes + 9 * stride + 6, 1);  // the TID
    flip_bits(store_.path("nodes.1"), graph::file_header_bytes + 11 * stride, 2);     // "deleted"
    unsigned damaged = 3;
    if (const auto &layout = index_->nodes().layout(); layout.code_bytes > 0) {
        flip_bits(store_.path("nodes.1"),
                  graph::file_header_bytes + 13 * stride + layout.code_offset + 30, 16);
        ++damaged;
    }
    store_.state->repair.store(Repair::every_page);
    const auto report = repair(*index_, row_range(0, 200));
    EXPECT_EQ(report.damaged, damaged);
    EXPECT_EQ(report.added, damaged);
    expect_rows(*index_, row_range(0, 200));
    EXPECT_EQ(store_.state->graph.deleted.load(), damaged);
}

TEST_P(StoreReconciler, VersionsOfOneRowUnderOneTidAreAddedOnce) {
    auto reconciler = begin(Repair::changed_pages);
    for (Row row = 150; row < 201; ++row)
        give(*reconciler, row);
    give(*reconciler, 200);
    give(*reconciler, 199);
    ASSERT_TRUE(reconciler->finish_blocks(3, 5, 0).ok());
    FakeWal wal;
    ASSERT_TRUE(reconciler->complete(5, wal, 0).ok());
    expect_rows(*index_, row_range(0, 201));
}

TEST_P(StoreReconciler, AnEntryThatStandsTwiceIsKeptOnce) {
    store_.insert(*index_, 3);
    store_.insert(*index_, 3);
    const auto report = repair(*index_, row_range(0, 200));
    EXPECT_EQ(report.removed, 2u);
    expect_rows(*index_, row_range(0, 200));
}

TEST_P(StoreReconciler, CompletionIsDurableAndIncompletenessToo) {
    store_.state->repair.store(Repair::every_page);
    repair(*index_, row_range(10, 210));
    EXPECT_EQ(store_.checkpoint().repair, Repair::none);
    EXPECT_EQ(store_.checkpoint().nodes, 210u);
    index_.reset();
    ASSERT_EQ(store_.recover().start, Start::replayed);
    index_ = store_.open();
    expect_rows(*index_, row_range(10, 210));

    FakeWal wal;
    wal.failing = true;
    store_.state->repair.store(Repair::every_page);
    auto reconciler = begin(Repair::every_page);
    EXPECT_EQ(reconciler->complete(100, wal, 0).code(), Code::io_error);
    EXPECT_EQ(store_.state->repair.load(), Repair::every_page);
}

TEST_P(StoreReconciler, CanBeInterrupted) {
    const auto stopped = Reconciler::begin(*index_, Repair::changed_pages, [] { return true; });
    EXPECT_EQ(stopped.status().code(), Code::interrupted);
}

INSTANTIATE_TEST_SUITE_P(Dimensions, StoreReconciler, testing::Values(8, 130),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace dvec::test
