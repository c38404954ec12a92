// One index in use: rows come, go and are found, files and log grow, the disk fills up.
#include <cerrno>

#include "../support/faulty_file_system.hpp"
#include "engine/log/reader.hpp"
#include "engine/store/payload.hpp"
#include "../support/crash_file_system.hpp"
#include "store_fixture.hpp"

namespace dvec::test {
namespace {

using base::Code;
using store::Start;

class StoreIndex : public testing::Test {
  protected:
    void start(Row rows = 0) {
        ASSERT_NO_FATAL_FAILURE(store_.build(rows));
        ASSERT_EQ(store_.recover().start, Start::clean);
        index_ = store_.open();
    }

    // The node ids of the insert records in the log, in order.
    std::vector<graph::NodeId> logged_inserts() {
        std::vector<graph::NodeId> ids;
        auto report = log::replay(store_.files, store::log_geometry(store_.description), 0,
                                  [&](const log::Record &record) -> base::Status {
                                      if (record.type == log::RecordType::insert)
                                          ids.push_back(record.node);
                                      return {};
                                  });
        EXPECT_TRUE(report.ok()) << report.status().message();
        return ids;
    }

    StoreUnderTest store_;
    std::unique_ptr<store::Index> index_;
};

TEST_F(StoreIndex, AnInsertedRowIsFoundAtOnce) {
    ASSERT_NO_FATAL_FAILURE(start(30));
    for (Row row = 30; row < 60; ++row) {
        EXPECT_EQ(store_.insert(*index_, row), row) << "ids are given in order";
        graph::Search search;
        ASSERT_TRUE(index_->search(search, store_.vector(row).data(), {}).ok());
        auto hit = search.next();
        ASSERT_TRUE(hit.ok() && hit.value());
        EXPECT_EQ(hit.value()->tid, tid_of(row));
        EXPECT_EQ(hit.value()->id, row);
        EXPECT_EQ(hit.value()->distance, 0.0f);
    }
    EXPECT_EQ(index_->tail(), 30u);
    expect_rows(*index_, row_range(0, 60));
}

TEST_F(StoreIndex, ARemovedRowIsNotFoundLinkedOrNot) {
    ASSERT_NO_FATAL_FAILURE(start(30));
    for (Row row = 30; row < 40; ++row)
        store_.insert(*index_, row);
    std::set<Row> rows = row_range(0, 40);
    for (const Row row : {0u, 17u, 29u, 30u, 39u}) {
        ASSERT_TRUE(index_->remove(row, 0).ok());
        rows.erase(row);
        expect_rows(*index_, rows, row);
    }
    EXPECT_EQ(store_.state->graph.deleted.load(), 5u);
    const auto head = store_.state->log.head.load();
    ASSERT_TRUE(index_->remove(17, 0).ok()) << "a second time is no error";
    EXPECT_EQ(store_.state->log.head.load(), head) << "and nothing new";
    EXPECT_EQ(store_.state->graph.deleted.load(), 5u);
}

TEST_F(StoreIndex, AnIdThatIsNotInUseCannotBeRemoved) {
    ASSERT_NO_FATAL_FAILURE(start(10));
    const auto head = store_.state->log.head.load();
    for (const graph::NodeId id : {10u, 11u, 1'000'000u, graph::max_nodes, ~0u})
        EXPECT_EQ(index_->remove(id, 0).code(), Code::invalid_argument) << id;
    EXPECT_EQ(store_.state->log.head.load(), head);
    EXPECT_EQ(store_.insert(*index_, 10), 10u);
    EXPECT_TRUE(index_->remove(10, 0).ok());
}

// Whoever removes may never have seen the growth that another caused.
TEST_F(StoreIndex, WhatAnotherObjectInsertedCanBeRemovedHere) {
    store_.description.dimensions = 512;
    ASSERT_NO_FATAL_FAILURE(start(1));
    auto other = store_.open();
    constexpr Row rows = 1200;  // beyond the first step of growth
    for (Row row = 1; row < rows; ++row)
        store_.insert(*other, row);
    ASSERT_LT(index_->nodes().mapped_slots(), rows) << "the test needs more rows";
    ASSERT_TRUE(index_->remove(rows - 1, 0).ok());
    expect_rows(*other, row_range(0, rows - 1));
}

// A repair and a rebuild leave the generation of the files as it was.
TEST_F(StoreIndex, WhatWasOpenedInAnotherLifeDoesNothing) {
    ASSERT_NO_FATAL_FAILURE(start(10));
    store_.insert(*index_, 10);
    store_.state->incarnation.store(7);
    const auto head = store_.state->log.head.load();
    const auto vector = store_.vector(11);
    graph::Search search;
    EXPECT_FALSE(index_->is_current());
    EXPECT_EQ(index_->insert(tid_of(11), 0, vector.data()).status().code(), Code::stale);
    EXPECT_EQ(index_->remove(3, 0).code(), Code::stale);
    EXPECT_EQ(index_->search(search, vector.data(), {}).code(), Code::stale);
    EXPECT_EQ(store_.state->log.head.load(), head);
    index_ = store_.open();
    EXPECT_EQ(store_.insert(*index_, 11), 11u);
    expect_rows(*index_, row_range(0, 12));
}

TEST_F(StoreIndex, GrowsThroughManyStepsOfCapacityAndSegments) {
    store_.description.dimensions = 256;
    store_.description.segment_bytes = 8192;  // 7 records
    ASSERT_NO_FATAL_FAILURE(start(3));
    constexpr Row rows = 4000;
    std::set<std::uint32_t> capacities;
    for (Row row = 3; row < rows; ++row) {
        ASSERT_EQ(store_.insert(*index_, row), row);
        capacities.insert(store_.state->graph.capacity.load());
        ASSERT_GT(store_.state->graph.capacity.load(), row);
    }
    EXPECT_GE(capacities.size(), 4u);
    EXPECT_GT(store_.state->log.head.load() / store_.description.segment_bytes, 500u);
    expect_rows(*index_, row_range(0, rows));

    std::vector<graph::NodeId> ids = logged_inserts();
    ASSERT_EQ(ids.size(), rows - 3);
    for (Row row = 3; row < rows; ++row)
        ASSERT_EQ(ids[row - 3], row);

    // A checkpoint leaves only the segment of the head.
    auto maintainer = store_.maintainer();
    FakeWal wal;
    ASSERT_TRUE(maintainer->checkpoint(wal, store::CheckpointKind::running).ok());
    EXPECT_EQ(maintainer->replay_bytes(), 0u);
    const auto segments = log::list_segments(store_.files, store::log_geometry(store_.description));
    ASSERT_TRUE(segments.ok());
    EXPECT_EQ(segments.value().size(), 1u);
    store_.insert(*index_, rows);
    expect_rows(*index_, row_range(0, rows + 1));
}

TEST_F(StoreIndex, APayloadTooLongForASegmentIsRefusedWithoutAnId) {
    store_.description.dimensions = 1100;
    store_.description.segment_bytes = 4096;
    ASSERT_NO_FATAL_FAILURE(start());
    auto id = index_->insert(tid_of(1), 0, store_.vector(1).data());
    EXPECT_EQ(id.status().code(), Code::limit_exceeded);
    EXPECT_EQ(store_.state->graph.allocated.load(), 0u);
}

TEST_F(StoreIndex, LinkingChangesWhereRowsAreFoundButNotWhich) {
    ASSERT_NO_FATAL_FAILURE(start(10));
    for (Row row = 10; row < 400; ++row)
        store_.insert(*index_, row);
    ASSERT_TRUE(index_->remove(11, 0).ok());
    std::set<Row> rows = row_range(0, 400);
    rows.erase(11);
    auto maintainer = store_.maintainer(2);
    const std::atomic<bool> go{false};
    while (maintainer->has_tail()) {
        const auto before = index_->tail();
        ASSERT_TRUE(maintainer->link(70, go).ok());
        EXPECT_EQ(index_->tail(), before > 70 ? before - 70 : 0);
        expect_rows(*index_, rows);
    }
    EXPECT_GE(recall(*index_, rows, 200), 0.985);
    const std::atomic<bool> stopped{true};
    store_.insert(*index_, 400);
    EXPECT_EQ(maintainer->link(1, stopped).code(), Code::interrupted);
    EXPECT_EQ(index_->tail(), 1u);
    maintainer->relax();
    ASSERT_TRUE(maintainer->link(1, go).ok());
    EXPECT_EQ(index_->tail(), 0u);
    rows.insert(400);
    expect_rows(*index_, rows);
}

TEST_F(StoreIndex, SyncingTheLogMakesItsWholeLengthDurable) {
    ASSERT_NO_FATAL_FAILURE(start());
    auto maintainer = store_.maintainer();
    for (Row row = 0; row < 100; ++row)
        store_.insert(*index_, row);
    EXPECT_GT(maintainer->unsynced_log_bytes(), 0u);
    ASSERT_TRUE(index_->sync_log().ok());
    EXPECT_EQ(maintainer->unsynced_log_bytes(), 0u);
    EXPECT_EQ(store_.state->log.synced.load(), store_.state->log.head.load());
}

TEST_F(StoreIndex, SyncingAnUntouchedLogWritesNothing) {
    ASSERT_NO_FATAL_FAILURE(start(5));
    ASSERT_TRUE(index_->sync_log().ok());
    EXPECT_EQ(store_.checkpoint().clean, 1);
    EXPECT_EQ(store_.state->clean.load(), 1u);
}

// ---- The order in which a clean index is left -------------------------------------------------

enum class Write : std::uint8_t { insert, remove, link };

class StoreFirstWrite : public testing::TestWithParam<Write> {
  protected:
    // A clean index with a tail.
    static void prepare(StoreUnderTest &store) {
        ASSERT_NO_FATAL_FAILURE(store.build(20));
        ASSERT_EQ(store.recover().start, Start::clean);
        {
            auto index = store.open();
            for (Row row = 20; row < 25; ++row)
                store.insert(*index, row);
            FakeWal wal;
            ASSERT_TRUE(store.maintainer()->checkpoint(wal, store::CheckpointKind::clean).ok());
        }
        ASSERT_EQ(store.recover().start, Start::clean);
    }
    static base::Status write(StoreUnderTest &store, store::Index &index,
                              store::Maintainer &maintainer) {
        const std::atomic<bool> go{false};
        switch (GetParam()) {
            case Write::insert:
                return index.insert(tid_of(50), 0, store.vector(50).data()).status();
            case Write::remove:
                return index.remove(3, 0);
            case Write::link:
                break;
        }
        return maintainer.link(2, go);
    }
};

TEST_P(StoreFirstWrite, ComesAfterTheCleanFlagIsDurablyGone) {
    CrashFileSystem files;
    StoreUnderTest store(files);
    ASSERT_NO_FATAL_FAILURE(prepare(store));
    auto index = store.open();
    auto maintainer = store.maintainer();
    const auto head = store.state->log.head.load();
    const auto nodes = read_bytes(store.path("nodes.1"));
    const auto upper = read_bytes(store.path("upper.1"));
    const auto untouched = [&] {
        // Neither slots nor links nor log records.
        EXPECT_EQ(read_bytes(store.path("nodes.1")), nodes);
        EXPECT_EQ(read_bytes(store.path("upper.1")), upper);
        auto report = log::replay(base::posix_file_system(), store::log_geometry(store.description),
                                  head, [](const log::Record &) -> base::Status { return {}; });
        EXPECT_TRUE(report.ok() && report.value().records == 0);
    };

    int cleared = 0;
    bool durable = false;
    files.observe([&](Operation operation, const std::string &path) {
        if (durable || path.find("log.") != std::string::npos)
            return;
        if (path == store.path("checkpoint")) {
            untouched();
            EXPECT_EQ(store.state->clean.load(), 1u) << "others may believe it only when durable";
            if (operation == Operation::write) {
                EXPECT_EQ(store.checkpoint().clean, 1);
            }
            if (operation == Operation::sync) {
                EXPECT_EQ(store.checkpoint().clean, 0);
                ++cleared;
                durable = true;
            }
            return;
        }
        // A folder's sync harms nobody; anything else must wait.
        if (operation != Operation::sync_directory)
            ADD_FAILURE() << path << " is touched while the folder says it is clean";
    });
    ASSERT_TRUE(write(store, *index, *maintainer).ok());
    files.observe(nullptr);
    EXPECT_EQ(cleared, 1);
    EXPECT_EQ(store.checkpoint().clean, 0);
    EXPECT_EQ(store.state->clean.load(), 0u);

    // Once is enough.
    const auto serial = store.checkpoint().serial;
    store.insert(*index, 51);
    EXPECT_EQ(store.checkpoint().serial, serial);
}

TEST_P(StoreFirstWrite, DoesNotHappenWhenTheFlagCannotBeCleared) {
    for (const Operation operation : {Operation::write, Operation::sync}) {
        FaultyFileSystem files;
        StoreUnderTest store(files);
        ASSERT_NO_FATAL_FAILURE(prepare(store));
        auto index = store.open();
        auto maintainer = store.maintainer();
        const auto nodes = read_bytes(store.path("nodes.1"));
        files.plan().fail(operation, 1, EIO, Persistence::forever);
        EXPECT_EQ(write(store, *index, *maintainer).code(), Code::io_error);
        EXPECT_EQ(store.state->clean.load(), 1u);
        EXPECT_EQ(store.state->graph.allocated.load(), 25u);
        EXPECT_EQ(store.state->graph.linked.load(), 20u);
        EXPECT_EQ(read_bytes(store.path("nodes.1")), nodes);
        files.plan().heal();
        EXPECT_TRUE(write(store, *index, *maintainer).ok());
        EXPECT_EQ(store.checkpoint().clean, 0);
    }
}

INSTANTIATE_TEST_SUITE_P(Store, StoreFirstWrite,
                         testing::Values(Write::insert, Write::remove, Write::link),
                         [](const auto &test) {
                             return test.param == Write::insert   ? "Insert"
                                    : test.param == Write::remove ? "Remove"
                                                                  : "Link";
                         });

// ---- A full disk ------------------------------------------------------------------------------

class StoreFullDisk : public testing::TestWithParam<Operation> {};

// Growth of `nodes` allocates, a new log segment is written: either may find the disk full.
TEST_P(StoreFullDisk, FailsTheInsertAndNothingElse) {
    FaultyFileSystem files;
    StoreUnderTest store(files);
    store.description.dimensions = 256;
    store.description.segment_bytes = 256 * 1024;
    ASSERT_NO_FATAL_FAILURE(store.build(0));
    ASSERT_EQ(store.recover().start, Start::clean);
    auto index = store.open();
    auto other = store.open();
    store.insert(*index, 0);
    std::set<Row> rows = {0};
    int failures = 0;
    for (Row row = 1; row < 2500; ++row) {
        files.plan().fail(GetParam(), 1, ENOSPC, Persistence::forever);
        const auto before = store.state->graph.allocated.load();
        const auto head = store.state->log.head.load();
        auto id = index->insert(tid_of(row), 0, store.vector(row).data());
        files.plan().heal();
        if (!id.ok()) {
            ++failures;
            ASSERT_EQ(id.status().code(), Code::no_space) << id.status().message();
            ASSERT_EQ(store.state->graph.allocated.load(), before);
            ASSERT_EQ(store.state->log.head.load(), head);
            if (failures % 2 == 0)
                expect_rows(*index, rows);
            // After space is back, through whichever object.
            id = (row % 2 == 0 ? *index : *other).insert(tid_of(row), 0, store.vector(row).data());
            ASSERT_TRUE(id.ok()) << id.status().message();
        }
        ASSERT_EQ(id.value(), before);
        rows.insert(row);
    }
    EXPECT_GE(failures, GetParam() == Operation::allocate ? 2 : 5);
    expect_rows(*index, rows);
    expect_rows(*other, rows);
    index.reset();
    other.reset();
    ASSERT_EQ(store.recover().start, Start::replayed);
    index = store.open();
    expect_rows(*index, rows);
}

INSTANTIATE_TEST_SUITE_P(Store, StoreFullDisk,
                         testing::Values(Operation::allocate, Operation::write),
                         [](const auto &test) {
                             return test.param == Operation::allocate ? "Nodes" : "Log";
                         });

// Vacuum must be able to do its work on a full disk: it is what makes room.
TEST(StoreFullDiskOfRemoval, IsDurableAfterACheckpoint) {
    FaultyFileSystem files;
    StoreUnderTest store(files);
    ASSERT_NO_FATAL_FAILURE(store.build(300));
    ASSERT_EQ(store.recover().start, Start::clean);
    auto index = store.open();
    files.plan().fail(Operation::create, 1, ENOSPC, Persistence::forever);
    for (Row row = 0; row < 200; ++row) {
        const base::Status removed = index->remove(row, 0);
        ASSERT_TRUE(removed.ok()) << row << ": " << removed.message();
    }
    EXPECT_EQ(store.state->unlogged_removals.load(), 1u);
    expect_rows(*index, row_range(200, 300));
    files.plan().heal();
    auto maintainer = store.maintainer();
    FakeWal wal;
    wal.failing = true;
    EXPECT_FALSE(maintainer->checkpoint(wal, store::CheckpointKind::running).ok());
    EXPECT_EQ(store.state->unlogged_removals.load(), 1u);
    wal.failing = false;
    ASSERT_TRUE(maintainer->checkpoint(wal, store::CheckpointKind::running).ok());
    EXPECT_EQ(store.state->unlogged_removals.load(), 0u);
    EXPECT_EQ(store.checkpoint().deleted, 200u);
    index.reset();
    ASSERT_EQ(store.recover().start, Start::replayed);
    index = store.open();
    expect_rows(*index, row_range(200, 300));
}

TEST(StoreFullDiskOfLinker, IsReportedAndLinkingGoesOnLater) {
    FaultyFileSystem files;
    StoreUnderTest store(files);
    ASSERT_NO_FATAL_FAILURE(store.build(0));
    ASSERT_EQ(store.recover().start, Start::clean);
    auto index = store.open();
    auto maintainer = store.maintainer();
    for (Row row = 0; row < 100; ++row)
        store.insert(*index, row);
    files.plan().fail(Operation::allocate, 1, ENOSPC, Persistence::forever);
    const std::atomic<bool> stop{false};
    EXPECT_EQ(maintainer->link(100, stop).code(), Code::no_space);
    EXPECT_EQ(index->tail(), 100u);
    expect_rows(*index, row_range(0, 100));
    files.plan().heal();
    ASSERT_TRUE(maintainer->link(100, stop).ok());
    EXPECT_EQ(index->tail(), 0u);
    expect_rows(*index, row_range(0, 100));
}

}  // namespace
}  // namespace dvec::test
