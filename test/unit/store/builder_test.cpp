// Building from nothing, and what an interrupted build leaves.
#include <cerrno>
#include <filesystem>

#include "../support/faulty_file_system.hpp"
#include "../support/crash_file_system.hpp"
#include "../support/memory_files.hpp"
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
        if (auto status = builder.add(tid_of(row), store.data(row)); !status.ok())
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

std::unique_ptr<store::Builder> begin_in_memory(base::FileSystem &files,
                                                const StoreUnderTest &store, std::uint64_t memory,
                                                unsigned threads = 1) {
    auto builder = store::Builder::create(files, store.description, threads, memory);
    EXPECT_TRUE(builder.ok()) << builder.status().message();
    return std::move(builder).value();
}

void link_to_the_end(store::Builder &builder) {
    builder.finish_adding();
    while (!builder.done())
        std::this_thread::yield();
}

base::Status complete(const StoreUnderTest &store, store::Builder &builder) {
    FakeWal wal;
    return builder.complete(wal, {.server_start = store.history.current_start()});
}

constexpr std::uint64_t ample = std::uint64_t{64} << 20;

TEST(StoreBuilder, FilesThatFitIntoMemoryAreWrittenWhenTheyAreWhole) {
    for (const std::uint32_t columns : {0u, 2u}) {
        StoreUnderTest store;
        store.description.columns = columns;
        auto builder = begin_in_memory(store.files, store, ample, 2);
        ASSERT_TRUE(add_until_failure(store, *builder, 0, 1000).ok());
        EXPECT_TRUE(fs::is_empty(store.folder()));
        EXPECT_GT(in_memory_files().bytes, 0u);
        link_to_the_end(*builder);
        EXPECT_TRUE(builder->writing());
        EXPECT_FALSE(builder->outgrown().has_value());
        ASSERT_TRUE(complete(store, *builder).ok());
        EXPECT_EQ(in_memory_files().bytes, 0u);
        builder.reset();
        EXPECT_EQ(store.recover().start, Start::clean);
        expect_rows(*store.open(), row_range(0, 1000));
    }
}

// From memory that cannot hold the files' first pages to one that holds nearly all.
TEST(StoreBuilder, FilesThatOutgrowMemoryGoOnInTheFolder) {
    constexpr Row rows = 2500;
    for (const std::uint64_t pages : {1, 10, 16, 31, 46, 61}) {
        SCOPED_TRACE(pages);
        const std::uint64_t memory = pages * 4096;
        StoreUnderTest store;
        store.description.columns = pages % 2;
        auto builder = begin_in_memory(store.files, store, memory, 2);
        std::uint64_t most = 0;
        for (Row row = 0; row < rows; ++row) {
            ASSERT_TRUE(add_until_failure(store, *builder, row, row + 1).ok());
            // The system takes its time to tell.
            if (row < 20 || row % 50 == 0)
                most = std::max(most, in_memory_files().bytes);
        }
        EXPECT_LE(most, memory);
        ASSERT_TRUE(builder->outgrown().has_value());
        EXPECT_LT(builder->outgrown()->rows, rows);
        EXPECT_EQ(builder->outgrown()->rows == 0, most == 0);
        EXPECT_FALSE(builder->outgrown()->system_short);
        EXPECT_EQ(in_memory_files().bytes, 0u);
        link_to_the_end(*builder);
        ASSERT_TRUE(complete(store, *builder).ok());
        builder.reset();
        EXPECT_EQ(store.recover().start, Start::clean);
        auto index = store.open();
        expect_rows(*index, row_range(0, rows));
        // With columns there are copies, of which a search may give any.
        if (store.description.columns == 0) {
            EXPECT_GE(recall(*index, row_range(0, rows), 100), 0.95);
        }
    }
}

// The session that adds must be able to be cancelled meanwhile.
TEST(StoreBuilder, AddingNeverWaitsWhileFilesLeaveMemory) {
    CrashFileSystem files;
    StoreUnderTest store(files);
    std::atomic<bool> moving{false};
    std::atomic<bool> go_on{false};
    files.observe([&](Operation operation, const std::string &path) {
        if (operation != Operation::write || fs::path(path).filename() != "nodes.1")
            return;
        moving.store(true);
        while (!go_on.load())
            std::this_thread::yield();
    });
    auto builder = begin_in_memory(files, store, std::uint64_t{64} << 10);
    Row row = 0;
    const auto try_next = [&] {
        auto added = builder->try_add(tid_of(row), store.data(row));
        EXPECT_TRUE(added.ok()) << added.status().message();
        return added.ok() && added.value();
    };
    while (!moving.load())
        row += try_next() ? 1 : 0;
    const Row before = row;
    EXPECT_FALSE(try_next());
    go_on.store(true);
    while (row < before + 10)
        row += try_next() ? 1 : 0;
    link_to_the_end(*builder);
    ASSERT_TRUE(complete(store, *builder).ok());
    EXPECT_EQ(builder->outgrown()->rows, before);
    builder.reset();
    files.observe(nullptr);
    EXPECT_EQ(store.recover().start, Start::clean);
    expect_rows(*store.open(), row_range(0, row));
}

TEST(StoreBuilder, ABuildInMemoryThatEndsEarlyLeavesNothing) {
    StoreUnderTest store;
    {
        auto builder = begin_in_memory(store.files, store, ample);
        ASSERT_TRUE(add_until_failure(store, *builder, 0, 500).ok());
    }
    EXPECT_EQ(in_memory_files().bytes, 0u);
    EXPECT_TRUE(fs::is_empty(store.folder()));
    EXPECT_EQ(store.recover().start, Start::rebuild);
}

TEST(StoreBuilder, AFullDiskIsReportedWhenFilesLeaveMemory) {
    for (const std::uint64_t memory : {std::uint64_t{64} << 10, ample}) {
        FaultyFileSystem files;
        StoreUnderTest store(files);
        auto builder = begin_in_memory(files, store, memory);
        files.plan().fail(Operation::allocate, 1, ENOSPC, Persistence::forever);
        const base::Status added = add_until_failure(store, *builder, 0, 1500);
        EXPECT_EQ(added.code(), memory == ample ? Code::ok : Code::no_space);
        link_to_the_end(*builder);
        EXPECT_EQ(complete(store, *builder).code(), Code::no_space);
        builder.reset();
        files.plan().heal();
        EXPECT_EQ(in_memory_files().bytes, 0u);
        EXPECT_EQ(store.recover().start, Start::rebuild);
    }
}

// Every operation of the writing fails in its turn.
TEST(StoreBuilder, FilesThatWereNotWrittenAsAWholeAreNotBelieved) {
    for (const Operation operation : {Operation::create, Operation::allocate, Operation::write}) {
        for (std::uint64_t nth = 1;; ++nth) {
            SCOPED_TRACE(testing::Message() << static_cast<int>(operation) << " " << nth);
            ASSERT_LT(nth, 20u);
            FaultyFileSystem files;
            StoreUnderTest store(files);
            auto builder = begin_in_memory(files, store, ample);
            ASSERT_TRUE(add_until_failure(store, *builder, 0, 50).ok());
            files.plan().fail(operation, nth, EIO);
            link_to_the_end(*builder);
            const base::Status status = complete(store, *builder);
            builder.reset();
            files.plan().heal();
            EXPECT_EQ(store.recover().start, status.ok() ? Start::clean : Start::rebuild);
            if (status.ok()) {
                EXPECT_GE(nth, 3u) << "nodes, upper";
                break;
            }
            EXPECT_EQ(status.code(), Code::io_error);
        }
    }
}

// Whenever the machine loses power from the first file that is written, the folder is either whole
// or not believed.
TEST(StoreBuilder, PowerLostWhileFilesAreWrittenLeavesAllOrNothing) {
    CrashFileSystem files;
    StoreUnderTest store(files);
    files.set_boot(1);
    auto builder = begin_in_memory(files, store, ample);
    ASSERT_TRUE(add_until_failure(store, *builder, 0, 200).ok());
    std::vector<std::unique_ptr<CrashFileSystem>> images;
    std::vector<std::string> folders;
    files.observe([&](Operation, const std::string &) {
        folders.push_back(store.scratch("image" + std::to_string(folders.size())));
        images.push_back(files.remains(store.folder(), folders.back(), Crash::power_loss,
                                       static_cast<std::uint32_t>(folders.size())));
    });
    link_to_the_end(*builder);
    ASSERT_TRUE(complete(store, *builder).ok());
    files.observe(nullptr);
    builder.reset();
    ASSERT_GE(images.size(), 10u);
    int believed = 0;
    for (std::size_t i = 0; i < images.size(); ++i) {
        SCOPED_TRACE(i);
        store::Description description = store.description;
        description.directory = folders[i];
        store::SharedState state{};
        if (!fs::exists(folders[i]))
            continue;
        auto report = store::recover(*images[i], description, state, store.locks(), store.history);
        ASSERT_TRUE(report.ok()) << report.status().message();
        if (report.value().start != Start::rebuild) {
            EXPECT_EQ(state.graph.allocated.load(), 200u);
            ++believed;
        }
    }
    EXPECT_GT(believed, 0);
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
