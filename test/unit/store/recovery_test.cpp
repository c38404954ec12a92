// Crashes of all processes on the same boot: the page cache keeps the files as they are, everything
// else is gone. One property per test; the random histories are in history_test.cpp.
#include <cstring>

#include "store_fixture.hpp"

namespace dvec::test {
namespace {

using store::CheckpointKind;
using store::Start;

class StoreRecovery : public testing::Test {
  protected:
    void start(Row rows) {
        ASSERT_NO_FATAL_FAILURE(store_.build(rows));
        ASSERT_EQ(store_.recover().start, Start::clean);
        open();
    }
    void open() { index_ = store_.open(); }

    store::StartReport crash_and_recover(std::uint64_t wal_end = store::WalHistory::nothing_lost) {
        index_.reset();
        maintainer_.reset();
        auto report = store_.recover(wal_end);
        EXPECT_EQ(report.start, Start::replayed) << report.reason;
        open();
        return report;
    }
    store::Maintainer &maintainer() {
        if (!maintainer_)
            maintainer_ = store_.maintainer();
        return *maintainer_;
    }
    void checkpoint(CheckpointKind kind) {
        FakeWal wal;
        const base::Status status = maintainer().checkpoint(wal, kind);
        ASSERT_TRUE(status.ok()) << status.message();
    }

    StoreUnderTest store_;
    std::unique_ptr<store::Index> index_;
    std::unique_ptr<store::Maintainer> maintainer_;
};

TEST_F(StoreRecovery, EveryInsertThatReturnedIsFound) {
    ASSERT_NO_FATAL_FAILURE(start(50));
    for (Row row = 50; row < 300; ++row)
        store_.insert(*index_, row, 1000 + row);
    const auto report = crash_and_recover();
    EXPECT_EQ(report.records, 250u);
    EXPECT_EQ(report.dropped, 0u);
    EXPECT_EQ(report.holes, 0u);
    EXPECT_EQ(store_.state->log.max_lsn.load(), 1299u);
    EXPECT_EQ(index_->tail(), 250u);
    expect_rows(*index_, row_range(0, 300));
    EXPECT_EQ(store_.insert(*index_, 300), 300u);
    expect_rows(*index_, row_range(0, 301));
}

TEST_F(StoreRecovery, PayloadsComeFromTheLogWhateverTheSlotsSay) {
    ASSERT_NO_FATAL_FAILURE(start(10));
    for (Row row = 10; row < 30; ++row)
        store_.insert(*index_, row);
    const std::size_t stride = index_->nodes().layout().stride;
    index_.reset();
    // The slots of all rows that only the log vouches for.
    auto bytes = read_bytes(store_.path("nodes.1"));
    const std::size_t begin = graph::file_header_bytes + 10 * stride;
    for (std::size_t offset = begin; offset < begin + 20 * stride; ++offset)
        bytes[offset] ^= 0x5A;
    write_bytes(store_.path("nodes.1"), bytes);
    crash_and_recover();
    expect_rows(*index_, row_range(0, 30));
    for (graph::NodeId id = 0; id < 30; ++id)
        EXPECT_TRUE(index_->nodes().payload_intact(id)) << id;
}

TEST_F(StoreRecovery, RemovalsHoldOfLinkedOfCheckpointedAndOfLoggedRows) {
    ASSERT_NO_FATAL_FAILURE(start(20));
    for (Row row = 20; row < 40; ++row)
        store_.insert(*index_, row);
    checkpoint(CheckpointKind::running);
    for (Row row = 40; row < 60; ++row)
        store_.insert(*index_, row);
    std::set<Row> rows = row_range(0, 60);
    for (const Row row : {3u, 25u, 45u, 59u}) {
        ASSERT_TRUE(index_->remove(row, 0).ok());
        rows.erase(row);
    }
    for (int again = 0; again < 3; ++again) {
        const auto report = crash_and_recover();
        EXPECT_EQ(report.records, again == 0 ? 24u : 0u) << "what is checkpointed is not replayed";
        EXPECT_EQ(store_.state->graph.deleted.load(), 4u);
        expect_rows(*index_, rows);
    }
    link_all(maintainer());
    expect_rows(*index_, rows);
}

TEST_F(StoreRecovery, OnlyWhatIsBehindTheCheckpointIsReplayed) {
    ASSERT_NO_FATAL_FAILURE(start(20));
    for (Row row = 20; row < 120; ++row)
        store_.insert(*index_, row);
    checkpoint(CheckpointKind::running);
    for (Row row = 120; row < 130; ++row)
        store_.insert(*index_, row);
    const auto report = crash_and_recover();
    EXPECT_EQ(report.records, 10u);
    EXPECT_EQ(store_.checkpoint().nodes, 130u);
    expect_rows(*index_, row_range(0, 130));
}

TEST_F(StoreRecovery, RecordsBeyondTheEndOfWalAreDroppedAndStayDropped) {
    ASSERT_NO_FATAL_FAILURE(start(10));
    for (Row row = 10; row < 20; ++row)
        store_.insert(*index_, row, row * 100);
    auto report = crash_and_recover(1500);
    EXPECT_EQ(report.records, 10u);
    EXPECT_EQ(report.dropped, 4u) << "of LSN 1600 to 1900; 1500 itself is kept";
    EXPECT_EQ(report.holes, 0u) << "the dropped ids are the last ones";
    EXPECT_EQ(store_.state->graph.allocated.load(), 16u);
    EXPECT_EQ(store_.state->log.max_lsn.load(), 1500u);
    std::set<Row> rows = row_range(0, 16);
    expect_rows(*index_, rows);

    // PostgreSQL goes on and its WAL passes 1900: now the old records would look legitimate.
    report = crash_and_recover(5000);
    EXPECT_EQ(report.records, 0u);
    expect_rows(*index_, rows);

    EXPECT_EQ(store_.insert(*index_, 30, 1700), 16u) << "ids are used again";
    rows.insert(30);
    report = crash_and_recover(5000);
    EXPECT_EQ(report.records, 1u);
    EXPECT_EQ(report.dropped, 0u);
    expect_rows(*index_, rows);
    report = crash_and_recover();
    expect_rows(*index_, rows);
}

// The server may crash, start, and crash again without anybody opening the index in between.
TEST_F(StoreRecovery, TheFirstRecoveryAfterARecordJudgesIt) {
    ASSERT_NO_FATAL_FAILURE(start(10));
    for (Row row = 10; row < 20; ++row)
        store_.insert(*index_, row, row * 100);
    store_.history.begin_start(1500);
    store_.history.begin_start();
    EXPECT_EQ(crash_and_recover(5000).dropped, 4u);
    expect_rows(*index_, row_range(0, 16));
    // What is written from here on is judged by what comes after it.
    store_.insert(*index_, 30, 4900);
    std::set<Row> rows = row_range(0, 16);
    rows.insert(30);
    EXPECT_EQ(crash_and_recover(4950).dropped, 0u);
    expect_rows(*index_, rows);
}

TEST_F(StoreRecovery, WhatIsWrittenAfterACleanStartIsJudgedByLaterRecoveriesOnly) {
    ASSERT_NO_FATAL_FAILURE(start(10));
    store_.insert(*index_, 10, 100);
    checkpoint(CheckpointKind::clean);
    index_.reset();
    maintainer_.reset();
    ASSERT_EQ(store_.recover(200).start, Start::clean);
    open();
    store_.insert(*index_, 11, 300);
    EXPECT_EQ(crash_and_recover(400).dropped, 0u);
    expect_rows(*index_, row_range(0, 12));
}

TEST_F(StoreRecovery, WithoutTheHistorySinceItsLastUseEveryPageIsRead) {
    ASSERT_NO_FATAL_FAILURE(start(10));
    store_.insert(*index_, 10, 100);
    index_.reset();
    store_.history.oldest = 1000;
    EXPECT_EQ(store_.recover().start, Start::repair);
    EXPECT_EQ(store_.state->repair.load(), store::Repair::every_page);
    store_.history.oldest = 1;
    EXPECT_EQ(store_.recover().start, Start::repair) << "until it is done";
    open();
    repair(*index_, row_range(0, 11));
    checkpoint(CheckpointKind::clean);
    index_.reset();
    maintainer_.reset();
    store_.history.oldest = 1000;
    EXPECT_EQ(store_.recover().start, Start::repair) << "a clean one too";
}

// A standby that is promoted, a backup that is started: rows came without passing here.
TEST_F(StoreRecovery, AfterARecoveryFromForeignWalEveryPageIsRead) {
    ASSERT_NO_FATAL_FAILURE(start(10));
    checkpoint(CheckpointKind::clean);
    index_.reset();
    maintainer_.reset();
    store_.history.begin_start();
    store_.history.last_foreign_start = store_.history.current_start();
    EXPECT_EQ(store_.recover().start, Start::repair);
    open();
    const auto report = repair(*index_, row_range(5, 15));
    EXPECT_EQ(report.kept, 5u);
    EXPECT_EQ(report.added, 5u);
    EXPECT_EQ(report.removed, 5u);
    expect_rows(*index_, row_range(5, 15));
    EXPECT_EQ(crash_and_recover().records, 0u) << "a repair ends with a checkpoint";
    expect_rows(*index_, row_range(5, 15));
}

// A standby that is started again, or a server that was shut down and follows another.
TEST_F(StoreRecovery, AfterARecoveryThatWentOnFromHereChangedPagesAreRead) {
    for (const CheckpointKind kind : {CheckpointKind::running, CheckpointKind::clean}) {
        store_.history.foreign = store::WalHistory::Foreign::continuing;
        store_.description.owner.file = {1, 2, 3};
        ASSERT_NO_FATAL_FAILURE(start(10));
        store_.state->reconcile_lsn.store(77);
        checkpoint(kind);
        index_.reset();
        maintainer_.reset();
        store_.history.begin_start();
        store_.history.last_foreign_start = store_.history.current_start();
        EXPECT_EQ(store_.recover().start, Start::repair);
        EXPECT_EQ(store_.state->repair.load(), store::Repair::changed_pages);
        EXPECT_EQ(store_.state->reconcile_lsn.load(), 77u);
        EXPECT_EQ(store_.recover().start, Start::repair) << "until it is done";
        EXPECT_EQ(store_.state->repair.load(), store::Repair::changed_pages);
        open();
        expect_rows(*index_, row_range(0, 10));
        index_.reset();
        maintainer_.reset();
        std::filesystem::remove_all(store_.folder());
    }
}

// WAL does not tell of the pages of files that were copied, as those of a database are that moves.
TEST_F(StoreRecovery, InACopyOfItsDatabaseEveryPageIsRead) {
    using Foreign = store::WalHistory::Foreign;
    const auto repair_as = [this](const base::FileIdentity &now, Foreign foreign) {
        store_.description.owner.file = {1, 2, 3};
        start(10);
        checkpoint(CheckpointKind::clean);
        index_.reset();
        maintainer_.reset();
        store_.description.owner.file = now;
        store_.history.begin_start();
        store_.history.foreign = foreign;
        store_.history.last_foreign_start = store_.history.current_start();
        store_.recover();
        std::filesystem::remove_all(store_.folder());
        return store_.state->repair.load();
    };
    for (const Foreign foreign : {Foreign::none, Foreign::continuing}) {
        EXPECT_EQ(repair_as({1, 2, 4}, foreign), store::Repair::every_page);
        EXPECT_EQ(repair_as({1, 5, 3}, foreign), store::Repair::every_page);
        // The number of a device changes from boot to boot.
        EXPECT_EQ(repair_as({4, 2, 3}, foreign), repair_as({1, 2, 3}, foreign));
    }
    EXPECT_EQ(repair_as({}, Foreign::none), store::Repair::none);
    EXPECT_EQ(repair_as({}, Foreign::continuing), store::Repair::every_page);
}

TEST_F(StoreRecovery, AStartThatCouldNotBeNotedDownIsNotTakenForAnother) {
    ASSERT_NO_FATAL_FAILURE(start(10));
    store_.insert(*index_, 10, 50);
    store_.history.forgetful = true;
    crash_and_recover();
    store_.insert(*index_, 11, 100);
    index_.reset();
    store_.history.forgetful = false;
    EXPECT_EQ(store_.recover().start, Start::repair);
    EXPECT_EQ(store_.state->repair.load(), store::Repair::every_page);
}

TEST_F(StoreRecovery, WithoutARecoveryOfPostgresNothingIsDropped) {
    ASSERT_NO_FATAL_FAILURE(start(10));
    for (Row row = 10; row < 20; ++row)
        store_.insert(*index_, row, ~std::uint64_t{0} - row);
    EXPECT_EQ(crash_and_recover().dropped, 0u);
    expect_rows(*index_, row_range(0, 20));
}

TEST_F(StoreRecovery, ARowWithoutLsnIsKept) {
    ASSERT_NO_FATAL_FAILURE(start(0));
    store_.insert(*index_, 0, 0);
    EXPECT_EQ(crash_and_recover(1).dropped, 0u);
    expect_rows(*index_, {0});
}

// Backends log in another order than PostgreSQL's WAL has their rows.
TEST_F(StoreRecovery, DroppedRecordsBetweenOthersLeaveHoles) {
    ASSERT_NO_FATAL_FAILURE(start(10));
    std::set<Row> rows = row_range(0, 10);
    for (Row row = 10; row < 40; ++row) {
        const bool lost = row % 3 == 0;  // 12, 15, ... 39
        store_.insert(*index_, row, lost ? 9000 : 500);
        if (!lost)
            rows.insert(row);
    }
    const auto report = crash_and_recover(500);
    EXPECT_EQ(report.dropped, 10u);
    EXPECT_EQ(report.holes, 9u) << "the last one is not given out";
    EXPECT_EQ(store_.state->graph.allocated.load(), 39u);
    EXPECT_EQ(store_.state->graph.deleted.load(), 9u);
    for (graph::NodeId id = 12; id < 39; id += 3)
        EXPECT_EQ(index_->nodes().state(id), graph::pack_state({}, graph::slot_hole)) << id;
    expect_rows(*index_, rows);
    ASSERT_TRUE(index_->remove(12, 0).ok()) << "removing a hole is no error";

    EXPECT_EQ(store_.insert(*index_, 50, 600), 39u);
    rows.insert(50);
    link_all(maintainer());
    expect_rows(*index_, rows);
    crash_and_recover(700);
    EXPECT_EQ(store_.state->graph.deleted.load(), 9u);
    expect_rows(*index_, rows);
    link_all(maintainer());
    expect_rows(*index_, rows);
    checkpoint(CheckpointKind::clean);
    index_.reset();
    maintainer_.reset();
    ASSERT_EQ(store_.recover().start, Start::clean);
    open();
    expect_rows(*index_, rows);
}

TEST_F(StoreRecovery, TheHighestLsnOutlivesTheRecordsThatHadIt) {
    ASSERT_NO_FATAL_FAILURE(start(0));
    store_.insert(*index_, 0, 12345);
    checkpoint(CheckpointKind::running);
    EXPECT_EQ(store_.checkpoint().max_lsn, 12345u);
    crash_and_recover(20000);
    EXPECT_EQ(store_.checkpoint().max_lsn, 12345u);
    EXPECT_EQ(store_.state->log.max_lsn.load(), 12345u);
}

TEST_F(StoreRecovery, LinkingThatACheckpointDoesNotKnowIsDoneAgain) {
    ASSERT_NO_FATAL_FAILURE(start(200));
    for (Row row = 200; row < 300; ++row)
        store_.insert(*index_, row);
    link_all(maintainer());
    checkpoint(CheckpointKind::running);
    for (Row row = 300; row < 330; ++row)
        store_.insert(*index_, row);
    // All linked, so that older nodes have links to ids that are the tail after the crash.
    link_all(maintainer());
    EXPECT_EQ(index_->tail(), 0u);
    store_.damage_noted_progress();
    crash_and_recover();
    EXPECT_EQ(store_.state->graph.linked.load(), 300u);
    EXPECT_EQ(index_->tail(), 30u);
    expect_rows(*index_, row_range(0, 330));
    for (Row row = 330; row < 600; ++row)
        store_.insert(*index_, row);

    // Stopped in the middle, and crashed again.
    const std::atomic<bool> go{false};
    ASSERT_TRUE(maintainer().link(150, go).ok());
    const std::atomic<bool> stop{true};
    EXPECT_EQ(maintainer().link(150, stop).code(), base::Code::interrupted);
    expect_rows(*index_, row_range(0, 600));
    crash_and_recover();
    expect_rows(*index_, row_range(0, 600));
    link_all(maintainer());
    EXPECT_EQ(index_->tail(), 0u);
    expect_rows(*index_, row_range(0, 600));
    EXPECT_GE(recall(*index_, row_range(0, 600), 200), 0.985);
}

TEST_F(StoreRecovery, LinkingOutlivesTheProcess) {
    ASSERT_NO_FATAL_FAILURE(start(300));
    for (Row row = 300; row < 900; ++row)
        store_.insert(*index_, row);
    const std::atomic<bool> go{false};
    ASSERT_TRUE(maintainer().link(400, go).ok());
    for (Row row = 0; row < 900; row += 9)
        ASSERT_TRUE(index_->remove(row, 0).ok());
    const std::uint64_t entry_point = store_.state->graph.entry_point.load();
    std::set<Row> rows = row_range(0, 900);
    std::erase_if(rows, [](Row row) { return row % 9 == 0; });
    for (int again = 0; again < 2; ++again) {
        crash_and_recover();
        EXPECT_EQ(store_.state->graph.linked.load(), 700u);
        EXPECT_EQ(store_.state->graph.entry_point.load(), entry_point);
        EXPECT_EQ(store_.state->graph.deleted.load(), 100u);
        expect_rows(*index_, rows);
        EXPECT_GE(recall(*index_, rows, 200), 0.985);
    }
    link_all(maintainer());
    expect_rows(*index_, rows);
    EXPECT_GE(recall(*index_, rows, 200), 0.985);
}

TEST_F(StoreRecovery, NodesThatWereLinkedAndHaveLostTheirRowsAreHoles) {
    ASSERT_NO_FATAL_FAILURE(start(100));
    for (Row row = 100; row < 300; ++row)
        store_.insert(*index_, row, row < 200 ? 800 : 1000);
    link_all(maintainer());
    const auto report = crash_and_recover(900);
    EXPECT_EQ(report.dropped, 100u);
    EXPECT_EQ(report.holes, 100u);
    EXPECT_EQ(store_.state->graph.linked.load(), 300u);
    EXPECT_EQ(store_.state->graph.deleted.load(), 100u);
    expect_rows(*index_, row_range(0, 200));
    std::set<Row> rows = row_range(0, 200);
    for (Row row = 1000; row < 1150; ++row) {
        EXPECT_EQ(store_.insert(*index_, row, 950), row - 700);
        rows.insert(row);
    }
    link_all(maintainer());
    expect_rows(*index_, rows);
    EXPECT_GE(recall(*index_, rows, 200), 0.985);
}

// Each byte of it is under the checksum or means nothing; what the checkpoint says holds then.
TEST_F(StoreRecovery, DamagedProgressIsNotBelieved) {
    for (std::uint64_t byte = 0; byte < sizeof(graph::LinkingProgress); ++byte) {
        StoreUnderTest store;
        ASSERT_NO_FATAL_FAILURE(store.build(20));
        ASSERT_EQ(store.recover().start, Start::clean);
        {
            auto index = store.open();
            for (Row row = 20; row < 40; ++row)
                store.insert(*index, row);
            link_all(*store.maintainer());
        }
        flip_bits(store.path("nodes.1"), graph::linking_progress_offset + byte, 0x11);
        ASSERT_EQ(store.recover().start, Start::replayed);
        if (byte < offsetof(graph::LinkingProgress, reserved))
            EXPECT_LE(store.state->graph.linked.load(), 20u) << byte;
        else
            EXPECT_EQ(store.state->graph.linked.load(), 40u) << byte;
        expect_rows(*store.open(), row_range(0, 40));
    }
}

// Links to what the crash made the tail again lead nowhere, and they had taken the places of links
// among the older nodes.
TEST_F(StoreRecovery, RecallHoldsWhileRelinkingLags) {
    for (const Row more : {30u, 100u, 300u, 2100u}) {
        SCOPED_TRACE(more);
        StoreUnderTest store;
        ASSERT_NO_FATAL_FAILURE(store.build(300));
        ASSERT_EQ(store.recover().start, Start::clean);
        {
            auto index = store.open();
            for (Row row = 300; row < 300 + more; ++row)
                store.insert(*index, row);
            auto behind = store.maintainer();
            link_all(*behind);
        }
        store.damage_noted_progress();
        ASSERT_EQ(store.recover().start, Start::replayed);
        auto index = store.open();
        EXPECT_GE(index->tail(), more);
        EXPECT_GE(recall(*index, row_range(0, 300 + more), 100), 0.985);
        // Among the older rows alone: the tail hides what the graph misses.
        for (Row row = 300; row < 300 + more; ++row)
            ASSERT_TRUE(index->remove(row, 0).ok());
        EXPECT_GE(recall(*index, row_range(0, 300), 100), 0.985);
        expect_rows(*index, row_range(0, 300));
        link_all(*store.maintainer());
        EXPECT_GE(recall(*index, row_range(0, 300), 100), 0.985);
    }
}

// Few of all links are lost, but they were the only ones to some nodes.
TEST_F(StoreRecovery, ASmallGraphWithNodesCutOffIsLinkedAnew) {
    ASSERT_NO_FATAL_FAILURE(start(2000));
    for (Row row = 2000; row < 2010; ++row)
        store_.insert(*index_, row);
    const auto group = [](graph::NodeId id) { return id >= 500 && id < 600; };
    const auto nodes = store_.nodes();
    for (graph::NodeId id = 0; id < 2000; ++id)
        for (std::uint32_t i = 0; i < nodes->layout().level0_links(); ++i)
            if (!group(id) && group(nodes->links(id)[i].load()))
                nodes->links(id)[i].store(2000 + i % 10);
    crash_and_recover();
    EXPECT_EQ(index_->tail(), 2010u);
    link_all(maintainer());
    EXPECT_GE(recall(*index_, row_range(0, 2010), 200), 0.98);
}

TEST_F(StoreRecovery, AnIdThatIsUsedAgainForgetsItsFormerLinks) {
    ASSERT_NO_FATAL_FAILURE(start(100));
    for (Row row = 100; row < 300; ++row)
        store_.insert(*index_, row, 1000);
    link_all(maintainer());
    store_.damage_noted_progress();
    EXPECT_EQ(crash_and_recover(900).dropped, 200u);
    EXPECT_EQ(store_.state->graph.allocated.load(), 100u);
    expect_rows(*index_, row_range(0, 100));
    std::set<Row> rows = row_range(0, 100);
    for (Row row = 1000; row < 1150; ++row) {
        EXPECT_EQ(store_.insert(*index_, row, 950), row - 900);
        rows.insert(row);
    }
    expect_rows(*index_, rows);
    link_all(maintainer());
    expect_rows(*index_, rows);
    EXPECT_GE(recall(*index_, rows, 200), 0.985);
}

TEST_F(StoreRecovery, ACleanShutdownStartsCleanWithItsTail) {
    ASSERT_NO_FATAL_FAILURE(start(50));
    for (Row row = 50; row < 100; ++row)
        store_.insert(*index_, row, row);
    const std::atomic<bool> go{false};
    ASSERT_TRUE(maintainer().link(20, go).ok());
    checkpoint(CheckpointKind::clean);
    for (int again = 0; again < 3; ++again) {
        index_.reset();
        maintainer_.reset();
        const auto report = store_.recover();
        ASSERT_EQ(report.start, Start::clean) << report.reason;
        open();
        EXPECT_EQ(index_->tail(), 30u);
        EXPECT_EQ(store_.state->clean.load(), 1u);
        expect_rows(*index_, row_range(0, 100));
    }
    store_.insert(*index_, 100, 100);
    EXPECT_EQ(crash_and_recover().records, 1u);
    expect_rows(*index_, row_range(0, 101));
}

TEST_F(StoreRecovery, ARecoveryThatFailsLeavesTheNextOneTheSameWork) {
    ASSERT_NO_FATAL_FAILURE(start(10));
    std::set<Row> rows = row_range(0, 10);
    for (Row row = 10; row < 40; ++row) {
        store_.insert(*index_, row, row % 4 == 0 ? 9000 : 500);
        if (row % 4 != 0)
            rows.insert(row);
    }
    ASSERT_TRUE(index_->remove(5, 400).ok());
    rows.erase(5);
    index_.reset();
    // A crash of the recovery itself, after everything but its checkpoint.
    const auto checkpoint_before = read_bytes(store_.path("checkpoint"));
    for (int again = 0; again < 3; ++again) {
        const auto report = crash_and_recover(500);
        EXPECT_EQ(report.holes, 7u);
        EXPECT_EQ(store_.state->graph.deleted.load(), 8u);
        expect_rows(*index_, rows);
        index_.reset();
        write_bytes(store_.path("checkpoint"), checkpoint_before);
    }
}

}  // namespace
}  // namespace dvec::test
