// The checkpoint file: two records written in turn, of which a torn or damaged one must never be
// taken for what it is not.
#include <cerrno>
#include <cstring>

#include "../support/faulty_file_system.hpp"
#include "engine/base/checksum.hpp"
#include "engine/store/checkpointer.hpp"
#include "../support/crash_file_system.hpp"
#include "store_fixture.hpp"

namespace dvec::test {
namespace {

using base::Code;
using store::checkpoint_block_bytes;
using store::CheckpointFile;
using store::CheckpointRecord;

CheckpointRecord record_with(std::uint64_t lsn) {
    CheckpointRecord record;
    record.owner_identity = 42;
    record.max_lsn = lsn;
    record.log_position = lsn / 2;
    record.nodes = 10;
    return record;
}

class StoreCheckpoint : public testing::Test {
  protected:
    CheckpointFile create() {
        auto file = CheckpointFile::create(base::posix_file_system(), directory_.path());
        EXPECT_TRUE(file.ok()) << file.status().message();
        return std::move(file).value();
    }
    CheckpointFile open() {
        auto file = CheckpointFile::open(base::posix_file_system(), directory_.path());
        EXPECT_TRUE(file.ok()) << file.status().message();
        return std::move(file).value();
    }
    std::string path() const { return directory_.file("checkpoint"); }

    // Writes `count` records; their max_lsn are 100, 200, ...
    void write_records(std::uint64_t count) {
        CheckpointFile file = create();
        for (std::uint64_t i = 1; i <= count; ++i)
            ASSERT_TRUE(file.write(record_with(i * 100)).ok());
    }

    TempDirectory directory_;
};

TEST_F(StoreCheckpoint, AMissingFileIsNotFound) {
    auto file = CheckpointFile::open(base::posix_file_system(), directory_.path());
    EXPECT_EQ(file.status().code(), Code::not_found);
}

TEST_F(StoreCheckpoint, AFileThatIsThereIsNotCreatedAgain) {
    write_records(1);
    auto again = CheckpointFile::create(base::posix_file_system(), directory_.path());
    EXPECT_EQ(again.status().code(), Code::already_exists);
    EXPECT_EQ(open().read().value().max_lsn, 100u);
}

TEST_F(StoreCheckpoint, AnEmptyFileHoldsNoRecord) {
    EXPECT_EQ(create().read().status().code(), Code::corrupt);
    EXPECT_EQ(read_bytes(path()).size(), 2 * checkpoint_block_bytes);
}

TEST_F(StoreCheckpoint, WhatWasWrittenIsRead) {
    CheckpointFile file = create();
    CheckpointRecord record = record_with(1000);
    record.owner_system = 2;
    record.owner_database = 3;
    record.owner_relation = 4;
    record.clean = 1;
    record.entry_point = 0x500000006;
    record.linked = 7;
    record.upper_blocks = 8;
    record.boot = 9;
    record.nodes_inode = 11;
    ASSERT_TRUE(file.write(record).ok());
    auto read = open().read();
    ASSERT_TRUE(read.ok());
    record.serial = 1;
    record.bytes = sizeof record;
    record.checksum = read.value().checksum;
    EXPECT_EQ(std::memcmp(&record, &read.value(), sizeof record), 0);
}

TEST_F(StoreCheckpoint, RecordsAlternateAndTheLatestIsCurrent) {
    CheckpointFile file = create();
    std::vector<char> before = read_bytes(path());
    for (std::uint64_t i = 1; i <= 7; ++i) {
        ASSERT_TRUE(file.write(record_with(i)).ok());
        const std::vector<char> after = read_bytes(path());
        ASSERT_EQ(after.size(), 2 * checkpoint_block_bytes);
        const auto half = static_cast<std::ptrdiff_t>(checkpoint_block_bytes);
        const auto middle = before.begin() + half;
        const bool first_changed = !std::equal(before.begin(), middle, after.begin());
        const bool second_changed = !std::equal(middle, before.end(), after.begin() + half);
        EXPECT_NE(first_changed, second_changed) << "exactly one block is written, record " << i;
        EXPECT_EQ(first_changed, i % 2 == 0) << "the blocks take turns";
        before = after;
        auto read = open().read();
        ASSERT_TRUE(read.ok());
        EXPECT_EQ(read.value().max_lsn, i);
        EXPECT_EQ(read.value().serial, i);
    }
}

// A torn write leaves a prefix of the new block and the rest of the old one.
TEST_F(StoreCheckpoint, ATornWriteLeavesTheFormerRecord) {
    for (const std::uint64_t count : {3u, 4u}) {  // the torn block is the first, then the second
        SCOPED_TRACE(count);
        static_cast<void>(base::posix_file_system().remove(path()));
        write_records(count);
        const std::vector<char> before = read_bytes(path());
        ASSERT_TRUE(open().write(record_with(9000)).ok());
        const std::vector<char> after = read_bytes(path());
        const std::size_t block = (count + 1) % 2 * checkpoint_block_bytes;
        for (std::size_t torn = 0; torn <= sizeof(CheckpointRecord); ++torn) {
            std::vector<char> bytes = before;
            std::copy_n(after.begin() + static_cast<std::ptrdiff_t>(block), torn,
                        bytes.begin() + static_cast<std::ptrdiff_t>(block));
            write_bytes(path(), bytes);
            auto read = open().read();
            ASSERT_TRUE(read.ok()) << "torn at " << torn;
            // A prefix whose remainder happens to equal the old bytes is the whole new record.
            const bool whole = std::equal(after.begin(), after.end(), bytes.begin());
            ASSERT_EQ(read.value().max_lsn, whole ? 9000u : count * 100) << "torn at " << torn;
        }
        // And the next write goes over the torn block, not over the only good one.
        write_bytes(path(), before);
        flip_bits(path(), block + 40, 0xFF);
        ASSERT_TRUE(open().write(record_with(9500)).ok());
        EXPECT_EQ(open().read().value().max_lsn, 9500u);
        flip_bits(path(), block + 40, 0xFF);
        EXPECT_EQ(open().read().value().max_lsn, count * 100);
    }
}

TEST_F(StoreCheckpoint, AnyFlippedBitOfTheCurrentRecordIsNoticed) {
    for (const std::uint64_t count : {1u, 2u, 3u}) {
        static_cast<void>(base::posix_file_system().remove(path()));
        write_records(count);
        const std::size_t block = count % 2 * checkpoint_block_bytes;
        for (std::size_t byte = 0; byte < sizeof(CheckpointRecord); ++byte) {
            for (const int mask : {0x01, 0x80, 0xFF}) {
                flip_bits(path(), block + byte, mask);
                auto read = open().read();
                if (count == 1) {
                    EXPECT_EQ(read.status().code(), Code::corrupt) << "byte " << byte;
                } else {
                    ASSERT_TRUE(read.ok()) << "byte " << byte;
                    EXPECT_EQ(read.value().max_lsn, (count - 1) * 100) << "byte " << byte;
                }
                flip_bits(path(), block + byte, mask);
            }
        }
        EXPECT_EQ(open().read().value().max_lsn, count * 100);
    }
}

TEST_F(StoreCheckpoint, ATruncatedFileNeverYieldsANewerOrInventedRecord) {
    write_records(3);  // the current one in the second block
    constexpr std::uintmax_t block = checkpoint_block_bytes, record = sizeof(CheckpointRecord);
    for (const std::uintmax_t size : {2 * block - 1, block + record, block + record - 1, block,
                                      block - 1, record, record - 1, std::uintmax_t{0}}) {
        std::filesystem::resize_file(path(), size);
        auto read = open().read();
        if (size >= checkpoint_block_bytes + sizeof(CheckpointRecord)) {
            EXPECT_EQ(read.value().max_lsn, 300u) << size;
        } else if (size >= sizeof(CheckpointRecord)) {
            EXPECT_EQ(read.value().max_lsn, 200u) << size;
        } else {
            EXPECT_EQ(read.status().code(), Code::corrupt) << size;
        }
    }
}

TEST_F(StoreCheckpoint, AnotherVersionIsUnsupportedAndNotOverwritten) {
    struct Version {
        std::uint32_t number;
        std::uint32_t bytes;
    };
    // What the newer says more is not known here.
    for (const Version &other :
         {Version{store::checkpoint_version + 1, sizeof(CheckpointRecord) + 8},
          Version{store::checkpoint_version - 1, 200}}) {
        write_records(2);
        std::vector<char> bytes = read_bytes(path());
        CheckpointRecord record;
        std::memcpy(&record, bytes.data(), sizeof record);  // serial 2 stands in the first block
        ASSERT_EQ(record.serial, 2u);
        record.version = other.number;
        record.bytes = other.bytes;
        record.checksum = 0;
        std::memcpy(bytes.data(), &record, sizeof record);
        record.checksum = base::checksum(0, bytes.data(), record.bytes);
        std::memcpy(bytes.data(), &record, sizeof record);
        write_bytes(path(), bytes);
        EXPECT_EQ(open().read().status().code(), Code::unsupported);
        EXPECT_EQ(open().write(record_with(1)).code(), Code::unsupported);
        EXPECT_EQ(read_bytes(path()), bytes);
        std::filesystem::remove(path());
    }
}

// ---- take_checkpoint: what must be durable before the record may say so ----

TEST(StoreCheckpointer, NothingIsClaimedThatIsNotDurable) {
    FaultyFileSystem files;
    StoreUnderTest store(files);
    ASSERT_NO_FATAL_FAILURE(store.build(20));
    ASSERT_EQ(store.recover().start, store::Start::clean);
    auto index = store.open();
    auto maintainer = store.maintainer();
    for (Row row = 20; row < 30; ++row)
        store.insert(*index, row, 1000 + row);
    const auto before = store.checkpoint();
    EXPECT_EQ(before.nodes, 20u);
    EXPECT_EQ(before.clean, 0);

    FakeWal wal;
    wal.failing = true;
    EXPECT_EQ(maintainer->checkpoint(wal, store::CheckpointKind::running).code(), Code::io_error);
    EXPECT_EQ(store.checkpoint().serial, before.serial);
    wal.failing = false;
    EXPECT_TRUE(maintainer->checkpoint(wal, store::CheckpointKind::running).ok());
    EXPECT_EQ(wal.flushed, 1029u) << "up to the highest LSN of what is claimed";
    const auto after = store.checkpoint();
    EXPECT_EQ(after.nodes, 30u);
    EXPECT_EQ(after.max_lsn, 1029u);
    EXPECT_EQ(after.log_position, store.state->log.head.load());
}

// The WAL flusher takes its place among the file operations.
class ObservedWal final : public store::WalFlusher {
  public:
    explicit ObservedWal(std::vector<std::string> &events) : events_(events) {}
    base::Status flush(std::uint64_t) override {
        events_.push_back("flush wal");
        return {};
    }

  private:
    std::vector<std::string> &events_;
};

TEST(StoreCheckpointer, TheRecordComesAfterWhatItSaysAndBeforeTheLogIsCut) {
    CrashFileSystem files;
    StoreUnderTest store(files);
    ASSERT_NO_FATAL_FAILURE(store.build(5));
    ASSERT_EQ(store.recover().start, store::Start::clean);
    auto index = store.open();
    auto maintainer = store.maintainer();
    for (Row row = 5; row < 205; ++row)
        store.insert(*index, row);  // several segments

    std::vector<std::string> events;
    files.observe([&](Operation operation, const std::string &path) {
        const std::string name = path.substr(path.rfind('/') + 1);
        if (operation == Operation::sync)
            events.push_back("sync " + name);
        if (operation == Operation::write)
            events.push_back("write " + name);
        if (operation == Operation::remove)
            events.push_back("remove " + name);
    });
    ObservedWal wal(events);
    ASSERT_TRUE(maintainer->checkpoint(wal, store::CheckpointKind::running).ok());
    files.observe(nullptr);

    const auto at = [&](const std::string &event) {
        const auto place = std::find(events.begin(), events.end(), event);
        EXPECT_NE(place, events.end()) << event;
        return place - events.begin();
    };
    EXPECT_LT(at("sync nodes.1"), at("write checkpoint"));
    EXPECT_LT(at("sync upper.1"), at("write checkpoint"));
    EXPECT_LT(at("flush wal"), at("write checkpoint"));
    EXPECT_LT(at("write checkpoint"), at("sync checkpoint"));
    EXPECT_LT(at("sync checkpoint"), at("remove log.0"));
}

TEST(StoreCheckpointer, AFailedSyncOfTheNodesLeavesTheFormerRecordAndTheLog) {
    FaultyFileSystem files;
    StoreUnderTest store(files);
    ASSERT_NO_FATAL_FAILURE(store.build(5));
    ASSERT_EQ(store.recover().start, store::Start::clean);
    auto index = store.open();
    for (Row row = 5; row < 205; ++row)
        store.insert(*index, row);
    const auto before = store.checkpoint();
    auto nodes = graph::NodeStore::open(
        files, store::node_store_params(store.description, *store.description.kernel(), 1),
        store.state->graph);
    ASSERT_TRUE(nodes.ok());
    FakeWal wal;
    for (const std::uint64_t nth : {1, 2}) {  // `nodes`, `upper`
        files.plan().fail(Operation::sync, nth, EIO);
        EXPECT_EQ(store::take_checkpoint(files, store.description, *store.state, store.locks(),
                                         *nodes.value(), wal, store::CheckpointKind::clean)
                      .code(),
                  Code::io_error);
        EXPECT_EQ(store.checkpoint().serial, before.serial);
        EXPECT_EQ(store.state->clean.load(), 0u);
        EXPECT_TRUE(std::filesystem::exists(store.path("log.0")));
    }
}

TEST(StoreCheckpointer, ACleanCheckpointIsLeftByTheNextRunningOne) {
    StoreUnderTest store;
    ASSERT_NO_FATAL_FAILURE(store.build(5));
    ASSERT_EQ(store.recover().start, store::Start::clean);
    EXPECT_EQ(store.state->clean.load(), 1u);
    auto maintainer = store.maintainer();
    FakeWal wal;
    ASSERT_TRUE(maintainer->checkpoint(wal, store::CheckpointKind::running).ok());
    EXPECT_EQ(store.state->clean.load(), 0u);
    EXPECT_EQ(store.checkpoint().clean, 0);
    ASSERT_TRUE(maintainer->checkpoint(wal, store::CheckpointKind::clean).ok());
    EXPECT_EQ(store.state->clean.load(), 1u);
    EXPECT_EQ(store.checkpoint().clean, 1);
}

}  // namespace
}  // namespace dvec::test
