// Compaction: the same rows before and after, whoever inserts, removes and searches meanwhile, and
// whenever it all dies.
#include <cerrno>
#include <filesystem>
#include <functional>
#include <thread>

#include "../support/faulty_file_system.hpp"
#include "engine/store/compactor.hpp"
#include "store_fixture.hpp"

namespace dvec::test {
namespace {

using base::Code;
using store::Compactor;
using store::Start;

class StoreCompactor : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_NO_FATAL_FAILURE(store_.build(400));
        ASSERT_EQ(store_.recover().start, Start::clean);
        index_ = store_.open();
        rows_ = row_range(0, 400);
    }
    std::unique_ptr<Compactor> begin(std::uint64_t memory = 0) {
        auto compactor = Compactor::begin(store_.files, store_.description, *store_.state,
                                          store_.locks(), 2, memory);
        EXPECT_TRUE(compactor.ok()) << compactor.status().message();
        return std::move(compactor).value();
    }
    void run(
        Compactor &compactor, const std::function<void()> &between = [] {}) {
        const std::atomic<bool> stop{false};
        // Small steps, and on until there is nothing more to copy.
        for (std::uint32_t before = graph::max_nodes;;) {
            auto done = compactor.step(20, stop);
            ASSERT_TRUE(done.ok()) << done.status().message();
            const std::uint32_t copied = compactor.copied_below(graph::max_nodes);
            if (done.value() && copied == before && ++idle_steps_ > 20)
                break;
            before = copied;
            between();
        }
        idle_steps_ = 0;
    }
    void finish(Compactor &compactor) {
        FakeWal wal;
        const base::Status status = compactor.finish(wal, [] {});
        ASSERT_TRUE(status.ok()) << status.message();
    }
    std::string nodes_path(std::uint64_t generation) const {
        return store_.path("nodes." + std::to_string(generation));
    }
    void compact(std::uint64_t memory = 0) {
        auto compactor = begin(memory);
        run(*compactor);
        finish(*compactor);
        index_ = store_.open();
    }
    // The node of a row follows from its number until the first compaction.
    void remove(graph::NodeId id) {
        const base::Status status = index_->remove(id, 0);
        ASSERT_TRUE(status.ok()) << status.message();
        rows_.erase(id);
    }
    void insert(Row row) {
        store_.insert(*index_, row);
        rows_.insert(row);
    }

    FaultyFileSystem files_;
    StoreUnderTest store_{files_};
    std::unique_ptr<store::Index> index_;
    std::set<Row> rows_;
    int idle_steps_ = 0;
};

TEST_F(StoreCompactor, DeletedNodesAreGoneAndRowsAreNot) {
    for (Row row = 0; row < 400; ++row)
        if (row % 4 != 0)
            remove(row);
    compact();
    EXPECT_EQ(store_.state->graph.allocated.load(), 100u);
    EXPECT_EQ(store_.state->graph.deleted.load(), 0u);
    EXPECT_EQ(store_.state->generation.load(), 2u);
    EXPECT_FALSE(std::filesystem::exists(store_.path("nodes.1")));
    EXPECT_FALSE(std::filesystem::exists(store_.path("upper.1")));
    expect_rows(*index_, rows_);
    EXPECT_GE(recall(*index_, rows_, 20), 0.975);
}

TEST_F(StoreCompactor, WhatHappensMeanwhileIsCarriedOver) {
    for (Row row = 0; row < 200; ++row)
        remove(row);
    auto compactor = begin();
    Row next = 400;
    run(*compactor, [&] {
        if (next > 1000)
            return;
        for (int i = 0; i < 30; ++i)
            insert(next++);
        remove(next - 5);  // not copied yet
        if (rows_.count(next - 300) != 0)
            remove(next - 300);  // copied
        expect_rows(*index_, rows_);
    });
    remove(399);
    insert(next++);
    finish(*compactor);
    index_ = store_.open();
    expect_rows(*index_, rows_);
    link_all(*store_.maintainer());
    expect_rows(*index_, rows_);
}

// A server on a busy machine: sessions do many times what the worker gets done. Without an end, and
// each row that is added soon goes.
TEST_F(StoreCompactor, RowsReplacedFasterThanTheyAreLinkedDoNotOutrunIt) {
    constexpr Row live = 4000;
    constexpr std::uint32_t piece = 64;
    for (Row row = 400; row < live; ++row)
        insert(row);
    link_all(*store_.maintainer());
    std::unique_ptr<Compactor> compactor;
    const std::atomic<bool> stop{false};
    std::uint32_t most = 0;
    Row oldest = 0;
    graph::NodeId at = 0;  // nodes below hold older rows
    Row next = live;
    for (int round = 0; next < 10 * live; ++round) {
        ASSERT_LT(round, 100'000) << "nobody gets on";
        for (int i = 0; i < 1000 && !store::outruns_compaction(*store_.state); ++i) {
            insert(next++);
            // Rows stand in their order in all generations of the files.
            while (row_of(graph::state_tid(index_->nodes().state(at))) != oldest)
                ++at;
            ASSERT_TRUE(index_->remove(at, 0).ok());
            rows_.erase(oldest++);
        }
        most = std::max(most, store_.state->graph.allocated.load());
        if (!compactor && 4 * store_.state->graph.deleted.load() > store_.state->graph.allocated)
            compactor = begin();
        if (!compactor)
            continue;
        const auto due = compactor->step(piece, stop);
        ASSERT_TRUE(due.ok()) << due.status().message();
        if (!due.value())
            continue;
        finish(*compactor);
        compactor.reset();
        EXPECT_FALSE(store::outruns_compaction(*store_.state)) << "nothing to wait for";
        index_ = store_.open();
        at = 0;
    }
    EXPECT_GE(store_.state->generation.load(), 3u) << "compacted twice";
    EXPECT_LE(most, 4 * live + 2000u);
    expect_rows(*index_, rows_);
}

TEST_F(StoreCompactor, WhoeverHasTheOldFilesIsTold) {
    for (Row row = 0; row < 300; ++row)
        remove(row);
    graph::Search search;
    const auto query = store_.vector(7);
    ASSERT_TRUE(index_->search(search, query.data(), {}).ok());
    std::set<Row> found{row_of(search.next().value()->tid)};

    auto compactor = begin();
    run(*compactor);
    finish(*compactor);
    const auto vector = store_.vector(900);
    EXPECT_FALSE(index_->is_current());
    EXPECT_EQ(index_->insert(tid_of(900), 0, vector.data()).status().code(), Code::stale);
    EXPECT_EQ(index_->remove(350, 0).code(), Code::stale);
    EXPECT_EQ(index_->refresh().status().code(), Code::stale);
    graph::Search other;
    EXPECT_EQ(index_->search(other, query.data(), {}).code(), Code::stale);

    // The search under way finishes in the old files.
    for (auto hit = search.next(); hit.ok() && hit.value(); hit = search.next())
        EXPECT_TRUE(found.insert(row_of(hit.value()->tid)).second);
    EXPECT_EQ(found, rows_);
}

TEST_F(StoreCompactor, TheNewFilesSurviveACrashWithWhatCameAfter) {
    for (Row row = 0; row < 300; ++row)
        remove(row);
    compact();
    insert(1000);
    ASSERT_TRUE(index_->remove(0, 0).ok());  // row 300 by now
    rows_.erase(300);
    index_.reset();
    const auto report = store_.recover();
    EXPECT_EQ(report.start, Start::replayed) << report.reason;
    EXPECT_EQ(report.records, 2u) << "the log begins at the exchange";
    index_ = store_.open();
    expect_rows(*index_, rows_);
}

TEST_F(StoreCompactor, UnfinishedItLeavesNothing) {
    for (Row row = 0; row < 300; ++row)
        remove(row);
    {
        auto compactor = begin();
        run(*compactor);
        EXPECT_TRUE(std::filesystem::exists(store_.path("nodes.2")));
    }
    EXPECT_FALSE(std::filesystem::exists(store_.path("nodes.2")));
    expect_rows(*index_, rows_);

    // What a crash leaves is cleared away by the next start.
    write_bytes(store_.path("nodes.2"), {'x'});
    write_bytes(store_.path("upper.2"), {'x'});
    index_.reset();
    EXPECT_EQ(store_.recover().start, Start::replayed);
    EXPECT_FALSE(std::filesystem::exists(store_.path("nodes.2")));
    EXPECT_FALSE(std::filesystem::exists(store_.path("upper.2")));
    index_ = store_.open();
    expect_rows(*index_, rows_);
}

TEST_F(StoreCompactor, ADamagedNodeStopsIt) {
    ASSERT_TRUE(index_->ready_to_write().ok());
    const std::size_t stride = index_->nodes().layout().stride;
    flip_bits(store_.path("nodes.1"), graph::file_header_bytes + 33 * stride + 5, 1);
    auto compactor = begin();
    const std::atomic<bool> stop{false};
    EXPECT_EQ(compactor->step(50, stop).status().code(), Code::corrupt);
}

TEST_F(StoreCompactor, NoFaultLosesARow) {
    for (Row row = 0; row < 300; ++row)
        remove(row);
    for (const Operation operation : {Operation::write, Operation::allocate, Operation::sync,
                                      Operation::open, Operation::sync_directory}) {
        for (std::uint64_t nth = 1;; ++nth) {
            SCOPED_TRACE(static_cast<int>(operation) * 1000 + static_cast<int>(nth));
            files_.plan().fail(operation, nth, ENOSPC);
            auto compactor = Compactor::begin(store_.files, store_.description, *store_.state,
                                              store_.locks(), 1);
            const std::atomic<bool> stop{false};
            FakeWal wal;
            bool failed = !compactor.ok();
            while (!failed) {
                auto done = compactor.value()->step(50, stop);
                failed = !done.ok();
                if (failed || done.value())
                    break;
            }
            if (!failed)
                failed = !compactor.value()->finish(wal, [] {}).ok();
            files_.plan().heal();
            if (!index_->is_current())
                index_ = store_.open();
            expect_rows(*index_, rows_);
            if (!failed)
                break;
            ASSERT_LT(nth, 100u);
        }
    }
}

// In memory to the end, not so long, and not at all.
TEST_F(StoreCompactor, FilesInMemoryBecomeTheIndexsFiles) {
    for (Row row = 0; row < 100; ++row)
        remove(row);
    Row row = 1000;
    for (const std::uint64_t kilobytes : {1024, 40, 8}) {
        SCOPED_TRACE(kilobytes);
        const std::string former = nodes_path(store_.state->generation.load());
        const std::string next = nodes_path(store_.state->generation.load() + 1);
        auto compactor = begin(kilobytes << 10);
        EXPECT_EQ(std::filesystem::exists(next), kilobytes == 8);
        run(*compactor, [&, end = row + 30] {
            if (row < end)
                insert(row++);
        });
        EXPECT_TRUE(std::filesystem::exists(next));
        finish(*compactor);
        EXPECT_FALSE(std::filesystem::exists(former));
        compactor.reset();
        index_ = store_.open();
        ASSERT_NO_FATAL_FAILURE(expect_rows(*index_, rows_));
        index_.reset();
        ASSERT_EQ(store_.recover().start, Start::replayed);
        index_ = store_.open();
        ASSERT_NO_FATAL_FAILURE(expect_rows(*index_, rows_));
    }
}

TEST_F(StoreCompactor, AFullDiskLeavesTheFormerFilesInUse) {
    for (const std::uint64_t memory : {1u << 20, 30u << 10}) {
        auto compactor = begin(memory);
        files_.plan().fail(Operation::allocate, 1, ENOSPC, Persistence::forever);
        const std::atomic<bool> stop{false};
        base::Status status;
        for (int steps = 0; status.ok() && steps < 100; ++steps)
            status = compactor->step(20, stop).status();
        EXPECT_EQ(status.code(), Code::no_space) << status.message();
        files_.plan().heal();
        compactor.reset();
        EXPECT_FALSE(std::filesystem::exists(nodes_path(2)));
        ASSERT_NO_FATAL_FAILURE(expect_rows(*index_, rows_));
    }
    compact(1 << 20);
    ASSERT_NO_FATAL_FAILURE(expect_rows(*index_, rows_));
}

TEST_F(StoreCompactor, TellsWhereTheFirstRowsWent) {
    for (Row row = 0; row < 100; ++row)
        if (row % 2 == 0)
            remove(row);
    auto compactor = begin();
    run(*compactor);
    EXPECT_EQ(compactor->copied_below(0), 0u);
    EXPECT_EQ(compactor->copied_below(100), 50u);
    EXPECT_EQ(compactor->copied_below(101), 51u);
}

TEST_F(StoreCompactor, GoesOnBesideInsertsRemovalsAndSearches) {
    for (Row row = 0; row < 300; ++row)
        remove(row);
    std::atomic<bool> done{false};
    std::atomic<Row> inserted{1000};
    const auto reopen = [&](std::unique_ptr<store::Index> *index) {
        while (!*index || !(*index)->is_current()) {
            auto opened =
                store::Index::open(store_.files, store_.description, *store_.state, store_.locks());
            if (opened.ok())
                *index = std::move(opened).value();
        }
    };
    std::thread inserter([&] {
        std::unique_ptr<store::Index> index;
        for (Row row = 1000; row < 1600; ++row) {
            const auto vector = store_.vector(row);
            for (;;) {
                reopen(&index);
                auto id = index->insert(tid_of(row), 0, vector.data());
                if (id.ok())
                    break;
                ASSERT_EQ(id.status().code(), Code::stale) << id.status().message();
            }
            inserted.store(row + 1);
        }
    });
    std::thread searcher([&] {
        std::unique_ptr<store::Index> index;
        const auto query = store_.vector(5);
        while (!done.load()) {
            reopen(&index);
            const Row sure = inserted.load();
            graph::Search search;
            const base::Status status = index->search(search, query.data(), {});
            if (!status.ok()) {
                ASSERT_EQ(status.code(), Code::stale) << status.message();
                continue;
            }
            std::set<Row> found;
            for (auto hit = search.next(); hit.ok() && hit.value(); hit = search.next())
                ASSERT_TRUE(found.insert(row_of(hit.value()->tid)).second);
            for (Row row = 300; row < 400; ++row)
                ASSERT_EQ(found.count(row), 1u) << row;
            for (Row row = 1000; row < sure; ++row)
                ASSERT_EQ(found.count(row), 1u) << row;
        }
    });
    for (int i = 0; i < 3; ++i) {
        auto compactor = begin();
        run(*compactor);
        finish(*compactor);
    }
    inserter.join();
    done.store(true);
    searcher.join();
    std::set<Row> rows = row_range(300, 400);
    rows.merge(row_range(1000, 1600));
    index_ = store_.open();
    expect_rows(*index_, rows);
}

}  // namespace
}  // namespace dvec::test
