// Building from nothing, and what an interrupted build leaves.
#include <cerrno>
#include <filesystem>

#include "../support/faulty_file_system.hpp"
#include "../support/crash_file_system.hpp"
#include "store_fixture.hpp"

namespace dvec::test {
namespace {

namespace fs = std::filesystem;
using base::Code;
using store::Start;

TEST(StoreBuilder, ABuiltIndexStartsCleanAndFindsItsRows) {
    StoreUnderTest store;
    store.description.dimensions = 16;
    store.description.m = 8;
    store.description.ef_construction = 40;
    constexpr Row rows = 3000;
    ASSERT_NO_FATAL_FAILURE(store.build(rows, 2));
    const auto report = store.recover();
    EXPECT_EQ(report.start, Start::clean) << report.reason;
    EXPECT_EQ(report.records, 0u);
    EXPECT_TRUE(report.damage.empty());
    auto index = store.open();
    EXPECT_EQ(index->tail(), 0u);
    EXPECT_EQ(index->refresh().value(), rows);
    EXPECT_GE(recall(*index, row_range(0, rows), 100), 0.985);
    expect_rows(*index, row_range(0, rows));
}

TEST(StoreBuilder, ABuiltIndexIsDurableWithItsName) {
    CrashFileSystem files;
    StoreUnderTest store(files);
    std::vector<std::string> synced;
    files.observe([&](Operation operation, const std::string &path) {
        if (operation == Operation::sync || operation == Operation::sync_directory)
            synced.push_back(fs::path(path + "/").lexically_normal());
    });
    ASSERT_NO_FATAL_FAILURE(store.build(5));
    for (const std::string &path : {store.path("nodes.1"), store.path("upper.1"),
                                    store.path("checkpoint"), store.folder(), store.scratch("")}) {
        const std::string wanted = fs::path(path + "/").lexically_normal();
        EXPECT_NE(std::find(synced.begin(), synced.end(), wanted), synced.end()) << path;
    }
}

TEST(StoreBuilder, AnEmptyIndexCanBeBuiltOpenedAndFilled) {
    StoreUnderTest store;
    ASSERT_NO_FATAL_FAILURE(store.build(0));
    ASSERT_EQ(store.recover().start, Start::clean);
    auto index = store.open();
    expect_rows(*index, {});
    store.insert(*index, 3);
    expect_rows(*index, {3});
}

TEST(StoreBuilder, AFolderOfThatNameIsRefusedAndLeftAlone) {
    StoreUnderTest store;
    ASSERT_NO_FATAL_FAILURE(store.build(5));
    const auto nodes = read_bytes(store.path("nodes.1"));
    auto again = store::Builder::create(store.files, store.description, 1);
    EXPECT_EQ(again.status().code(), Code::already_exists);
    EXPECT_EQ(read_bytes(store.path("nodes.1")), nodes);
    EXPECT_EQ(store.recover().start, Start::clean);
}

TEST(StoreBuilder, AnInterruptedBuildIsNotBelieved) {
    for (const bool finished_adding : {false, true}) {
        StoreUnderTest store;
        {
            auto builder = store::Builder::create(store.files, store.description, 2);
            ASSERT_TRUE(builder.ok());
            for (Row row = 0; row < 500; ++row)
                ASSERT_TRUE(builder.value()->add(tid_of(row), store.vector(row).data()).ok());
            if (finished_adding) {
                builder.value()->finish_adding();
                while (!builder.value()->done())
                    std::this_thread::yield();
            }
        }
        const auto report = store.recover();
        EXPECT_EQ(report.start, Start::rebuild);
        EXPECT_FALSE(report.reason.empty());
    }
}

TEST(StoreBuilder, AnUnknownKernelIsRefusedBeforeAnythingIsMade) {
    StoreUnderTest store;
    store.description.metric = static_cast<distance::Metric>(200);
    auto builder = store::Builder::create(store.files, store.description, 1);
    EXPECT_EQ(builder.status().code(), Code::unsupported);
    EXPECT_FALSE(std::filesystem::exists(store.folder()));
}

// Adds rows until something fails; what failed.
base::Status add_until_failure(StoreUnderTest &store, store::Builder &builder, Row begin, Row end) {
    for (Row row = begin; row < end; ++row)
        if (auto status = builder.add(tid_of(row), store.vector(row).data()); !status.ok())
            return status;
    return {};
}

TEST(StoreBuilder, AFullDiskIsReportedByAdd) {
    FaultyFileSystem files;
    StoreUnderTest store(files);
    store.description.dimensions = 256;  // 1088 bytes a slot: a step of growth is a thousand rows
    auto builder = store::Builder::create(files, store.description, 1);
    ASSERT_TRUE(builder.ok());
    ASSERT_TRUE(add_until_failure(store, *builder.value(), 0, 50).ok());
    while (builder.value()->linked() < 50)
        std::this_thread::yield();
    files.plan().fail(Operation::allocate, 1, ENOSPC, Persistence::forever);
    const base::Status status = add_until_failure(store, *builder.value(), 50, 5000);
    EXPECT_EQ(status.code(), Code::no_space) << status.message();
    builder.value().reset();
    files.plan().heal();
    EXPECT_EQ(store.recover().start, Start::rebuild);
}

TEST(StoreBuilder, AFullDiskUnderTheLinkerIsReportedByAdd) {
    FaultyFileSystem files;
    StoreUnderTest store(files);
    auto builder = store::Builder::create(files, store.description, 1);
    ASSERT_TRUE(builder.ok());
    ASSERT_TRUE(add_until_failure(store, *builder.value(), 0, 1).ok());
    while (builder.value()->linked() < 1)
        std::this_thread::yield();
    // The slots have room for thousands of rows by now; the first node above level 0 needs `upper`.
    files.plan().fail(Operation::allocate, 1, ENOSPC, Persistence::forever);
    ASSERT_TRUE(add_until_failure(store, *builder.value(), 1, 200).code() != Code::internal);
    while (!builder.value()->done())
        std::this_thread::yield();
    const auto vector = store.vector(999);
    EXPECT_EQ(builder.value()->add(tid_of(999), vector.data()).code(), Code::no_space);
    FakeWal wal;
    EXPECT_EQ(builder.value()->complete(wal, {}).code(), Code::no_space);
    builder.value().reset();
    EXPECT_EQ(store.recover().start, Start::rebuild);
}

TEST(StoreBuilder, AFailedSyncAtTheEndLeavesNothingToBelieve) {
    for (std::uint64_t nth = 1;; ++nth) {
        SCOPED_TRACE(nth);
        ASSERT_LT(nth, 10u);
        FaultyFileSystem files;
        StoreUnderTest store(files);
        auto builder = store::Builder::create(files, store.description, 1);
        ASSERT_TRUE(builder.ok());
        ASSERT_TRUE(add_until_failure(store, *builder.value(), 0, 20).ok());
        builder.value()->finish_adding();
        while (!builder.value()->done())
            std::this_thread::yield();
        files.plan().fail(Operation::sync, nth, EIO);
        FakeWal wal;
        const base::Status status =
            builder.value()->complete(wal, {.server_start = store.history.current_start()});
        if (status.ok()) {
            EXPECT_GE(nth, 4u) << "nodes, upper, checkpoint";
            break;
        }
        EXPECT_EQ(status.code(), Code::io_error);
    }
}

}  // namespace
}  // namespace dvec::test
