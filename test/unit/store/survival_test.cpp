// Whether a folder is believed: whose it is, where and when it was written, and whether it is
// whole.
#include <chrono>
#include <filesystem>
#include <thread>

#include "../support/crash_file_system.hpp"
#include "store_fixture.hpp"

namespace dvec::test {
namespace {

namespace fs = std::filesystem;
using store::CheckpointKind;
using store::Repair;
using store::Start;

enum class State : std::uint8_t { clean, in_use };

class StoreSurvival : public testing::Test {
  protected:
    // An index with checkpointed, linked and (in use) merely logged rows; nobody has it open.
    void make(StoreUnderTest &store, State state) {
        ASSERT_NO_FATAL_FAILURE(store.build(40));
        ASSERT_EQ(store.recover().start, Start::clean);
        auto index = store.open();
        auto maintainer = store.maintainer();
        FakeWal wal;
        for (Row row = 40; row < 100; ++row)
            store.insert(*index, row, row);
        link_all(*maintainer);
        ASSERT_TRUE(maintainer->checkpoint(wal, CheckpointKind::running).ok());
        for (Row row = 100; row < 120; ++row)
            store.insert(*index, row, row);
        if (state == State::clean) {
            ASSERT_TRUE(maintainer->checkpoint(wal, CheckpointKind::clean).ok());
        }
    }

    static void expect_rebuild(StoreUnderTest &store) {
        const auto report = store.recover();
        EXPECT_EQ(report.start, Start::rebuild);
        EXPECT_FALSE(report.reason.empty());
    }
    // Rows may be missing, and are there once the table was read.
    static void expect_repair(StoreUnderTest &store, Repair repair, Row rows = 120) {
        const auto report = store.recover();
        ASSERT_EQ(report.start, Start::repair) << report.reason;
        EXPECT_EQ(store.state->repair.load(), repair);
        EXPECT_FALSE(report.reason.empty());
        auto index = store.open();
        test::repair(*index, row_range(0, rows));
        expect_rows(*index, row_range(0, rows));
        index.reset();
        expect_all(store, Start::replayed, rows);
    }
    static void expect_all(StoreUnderTest &store, Start start, Row rows = 120) {
        const auto report = store.recover();
        ASSERT_EQ(report.start, start) << report.reason;
        auto index = store.open();
        expect_rows(*index, row_range(0, rows));
    }
};

TEST_F(StoreSurvival, AMissingFolderIsRebuilt) {
    StoreUnderTest store;
    expect_rebuild(store);
}

TEST_F(StoreSurvival, ACopyIsRepairedAndTheOriginalIsNot) {
    for (const State state : {State::clean, State::in_use}) {
        StoreUnderTest store;
        ASSERT_NO_FATAL_FAILURE(make(store, state));
        const std::string original = store.folder();
        fs::copy(original, store.scratch("copy"), fs::copy_options::recursive);
        store.description.directory = store.scratch("copy");
        expect_repair(store, Repair::every_page);
        // A folder that is moved is the same folder.
        fs::rename(original, store.scratch("moved"));
        store.description.directory = store.scratch("moved");
        expect_all(store, state == State::clean ? Start::clean : Start::replayed);
    }
}

// A backup put back into the files it was taken from.
// The file system gives the inode numbers of removed files to the next ones that are made.
TEST_F(StoreSurvival, ACopyThatCameBackUnderTheOldNameIsRepaired) {
    for (const State state : {State::clean, State::in_use}) {
        StoreUnderTest store;
        ASSERT_NO_FATAL_FAILURE(make(store, state));
        const std::string backup = store.scratch("backup");
        fs::copy(store.folder(), backup, fs::copy_options::recursive);
        fs::remove_all(store.folder());
        fs::copy(backup, store.folder(), fs::copy_options::recursive);
        expect_repair(store, Repair::every_page);
    }
}

TEST_F(StoreSurvival, ACleanFolderThatWasOverwrittenInPlaceIsRepaired) {
    StoreUnderTest store;
    ASSERT_NO_FATAL_FAILURE(make(store, State::clean));
    // The clock of the file system is coarse.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    write_bytes(store.path("nodes.1"), read_bytes(store.path("nodes.1")));
    expect_repair(store, Repair::every_page);
}

// A machine that can be restarted: what the boot id says is up to the test.
class Machine {
  public:
    Machine() { boot('a'); }
    void boot(char name) { files.set_boot(static_cast<std::uint64_t>(name)); }
    void lose_boot_id() { files.set_boot(0); }

    CrashFileSystem files;
};

TEST_F(StoreSurvival, AnIndexInUseWhenTheMachineWentDownIsRepaired) {
    Machine machine;
    StoreUnderTest store(machine.files);
    ASSERT_NO_FATAL_FAILURE(make(store, State::in_use));
    machine.boot('b');
    expect_repair(store, Repair::changed_pages);
}

TEST_F(StoreSurvival, ARepairThatWasNotCompletedIsNotForgotten) {
    Machine machine;
    StoreUnderTest store(machine.files);
    ASSERT_NO_FATAL_FAILURE(make(store, State::in_use));
    machine.boot('b');
    ASSERT_EQ(store.recover().start, Start::repair);
    machine.boot('c');
    expect_repair(store, Repair::changed_pages);
}

TEST_F(StoreSurvival, ACleanIndexIsBelievedOnAnyBoot) {
    Machine machine;
    StoreUnderTest store(machine.files);
    ASSERT_NO_FATAL_FAILURE(make(store, State::clean));
    machine.boot('b');
    expect_all(store, Start::clean);
    machine.lose_boot_id();
    expect_all(store, Start::clean);
}

// The flag that is taken away must not keep the name of the boot it was written on.
TEST_F(StoreSurvival, AfterACleanStartOnAnotherBootACrashOfProcessesIsReplayed) {
    Machine machine;
    StoreUnderTest store(machine.files);
    ASSERT_NO_FATAL_FAILURE(make(store, State::clean));
    machine.boot('b');
    ASSERT_EQ(store.recover().start, Start::clean);
    {
        auto index = store.open();
        store.insert(*index, 120, 120);
    }
    expect_all(store, Start::replayed, 121);
    {
        auto index = store.open();
        store.insert(*index, 121, 121);
    }
    machine.boot('a');
    expect_repair(store, Repair::changed_pages, 122);
}

TEST_F(StoreSurvival, WithoutABootIdAnIndexInUseIsRepaired) {
    Machine machine;
    StoreUnderTest store(machine.files);
    machine.lose_boot_id();
    ASSERT_NO_FATAL_FAILURE(make(store, State::in_use));
    const auto report = store.recover();
    EXPECT_EQ(report.start, Start::repair);
    EXPECT_EQ(store.state->repair.load(), Repair::changed_pages);
}

// A snapshot of the device, or a volume that was away: the very files on the same boot.
TEST_F(StoreSurvival, AnIndexInUseOnAnotherMountIsRepaired) {
    Machine machine;
    StoreUnderTest store(machine.files);
    ASSERT_NO_FATAL_FAILURE(make(store, State::in_use));
    machine.files.set_mount(2);
    expect_repair(store, Repair::changed_pages);
    machine.files.set_mount(3);
    expect_repair(store, Repair::changed_pages);
}

TEST_F(StoreSurvival, ACleanIndexIsBelievedOnAnyMount) {
    Machine machine;
    StoreUnderTest store(machine.files);
    ASSERT_NO_FATAL_FAILURE(make(store, State::clean));
    machine.files.set_mount(2);
    expect_all(store, Start::clean);
    // The flag that is taken away must not keep the number of the mount it was written on.
    {
        auto index = store.open();
        store.insert(*index, 120, 120);
    }
    expect_all(store, Start::replayed, 121);
    {
        auto index = store.open();
        store.insert(*index, 121, 121);
    }
    machine.files.set_mount(1);
    expect_repair(store, Repair::changed_pages, 122);
}

TEST_F(StoreSurvival, WithoutMountNumbersOnlyAProcessThatStayedIsBelieved) {
    for (const bool held : {true, false}) {
        Machine machine;
        machine.files.set_mount(0);
        StoreUnderTest store(machine.files);
        ASSERT_NO_FATAL_FAILURE(make(store, State::in_use));
        store.history.held = held;
        const auto report = store.recover();
        EXPECT_EQ(report.start, held ? Start::replayed : Start::repair) << report.reason;
        EXPECT_EQ(store.state->repair.load(), held ? Repair::none : Repair::changed_pages);
    }
}

TEST_F(StoreSurvival, AProcessThatStayedIsBelievedOnAnyMountOfTheDevice) {
    Machine machine;
    StoreUnderTest store(machine.files);
    ASSERT_NO_FATAL_FAILURE(make(store, State::in_use));
    store.history.held = true;
    machine.files.set_mount(2);
    expect_all(store, Start::replayed);
}

TEST_F(StoreSurvival, AnotherOwnerOrShapeIsRebuilt) {
    for (const State state : {State::clean, State::in_use}) {
        StoreUnderTest store;
        ASSERT_NO_FATAL_FAILURE(make(store, state));
        const store::Description own = store.description;
        const auto expect_refused = [&](auto change) {
            store.description = own;
            change(store.description);
            expect_rebuild(store);
        };
        using D = store::Description;
        expect_refused([](D &d) { ++d.owner.identity; });
        expect_refused([](D &d) { d.owner.identity = 0; });
        expect_refused([](D &d) { ++d.owner.database; });
        expect_refused([](D &d) { ++d.owner.relation; });
        expect_refused([](D &d) { d.metric = distance::Metric::inner_product; });
        expect_refused([](D &d) { d.metric = static_cast<distance::Metric>(77); });
        expect_refused([](D &d) { d.element = static_cast<distance::Element>(77); });
        expect_refused([](D &d) { ++d.dimensions; });
        expect_refused([](D &d) { ++d.m; });
        expect_refused([](D &d) { d.segment_bytes *= 2; });
        // What only governs future linking may change.
        store.description = own;
        store.description.ef_construction += 10;
        expect_all(store, state == State::clean ? Start::clean : Start::replayed);
    }
}

// As after pg_upgrade: not even the very files, left clean, are believed.
TEST_F(StoreSurvival, AFolderOfAnotherClusterIsComparedWithTheTable) {
    for (const State state : {State::clean, State::in_use}) {
        StoreUnderTest store;
        ASSERT_NO_FATAL_FAILURE(make(store, state));
        ++store.description.owner.system;
        expect_repair(store, Repair::every_page);
    }
}

TEST_F(StoreSurvival, AnyMissingFileIsNoticed) {
    // Neither the log of a clean index nor segments before the checkpoint are needed.
    for (const char *name : {"nodes.1", "upper.1", "checkpoint"}) {
        SCOPED_TRACE(name);
        for (const State state : {State::clean, State::in_use}) {
            StoreUnderTest store;
            ASSERT_NO_FATAL_FAILURE(make(store, state));
            fs::remove(store.path(name));
            expect_rebuild(store);
        }
    }
    StoreUnderTest store;
    ASSERT_NO_FATAL_FAILURE(make(store, State::in_use));
    const auto segment = store.checkpoint().log_position / store.description.segment_bytes;
    fs::remove(store.path("log." + std::to_string(segment)));
    expect_repair(store, Repair::changed_pages);
}

TEST_F(StoreSurvival, AMissingFirstLogSegmentIsNoticed) {
    StoreUnderTest store;
    ASSERT_NO_FATAL_FAILURE(store.build(5));
    ASSERT_EQ(store.recover().start, Start::clean);
    {
        auto index = store.open();
        for (Row row = 5; row < 10; ++row)
            store.insert(*index, row);
    }
    ASSERT_EQ(store.checkpoint().log_position, 0u);
    fs::remove(store.path("log.0"));
    expect_repair(store, Repair::changed_pages, 10);
}

// No segment is no damage as long as nothing was ever logged, however often processes die.
TEST_F(StoreSurvival, AnIndexThatWasNeverWrittenToSurvivesCrashes) {
    StoreUnderTest store;
    ASSERT_NO_FATAL_FAILURE(store.build(5));
    for (int again = 0; again < 2; ++again)
        expect_all(store, Start::clean, 5);
    // Killed between taking the clean flag and the first record.
    {
        auto index = store.open();
        store.insert(*index, 5);
    }
    auto bytes = read_bytes(store.path("log.0"));
    std::fill(bytes.begin(), bytes.end(), '\0');
    write_bytes(store.path("log.0"), bytes);
    for (int again = 0; again < 3; ++again)
        expect_all(store, Start::replayed, 5);
}

TEST_F(StoreSurvival, ShortenedFilesAreNoticed) {
    for (const char *name : {"nodes.1", "upper.1"}) {
        SCOPED_TRACE(name);
        for (const State state : {State::clean, State::in_use}) {
            StoreUnderTest store;
            ASSERT_NO_FATAL_FAILURE(make(store, state));
            // Down to a size that misses the last slot or block that the checkpoint vouches for.
            const auto layout =
                store::node_store_params(store.description, *store.description.kernel(), 1).layout;
            const auto record = store.checkpoint();
            const std::uint64_t needed =
                graph::file_header_bytes +
                (name == std::string("nodes.1")
                     ? std::uint64_t{record.nodes} * layout.stride
                     : std::uint64_t{record.upper_blocks} * layout.upper_block_bytes);
            for (const std::uint64_t size : {needed - 1, std::uint64_t{graph::file_header_bytes},
                                             std::uint64_t{100}, std::uint64_t{0}}) {
                fs::resize_file(store.path(name), size);
                expect_rebuild(store);
            }
        }
    }
}

// The records of the log name slots that the file no longer has.
TEST_F(StoreSurvival, ANodesFileShorterThanItsLogIsNoticed) {
    StoreUnderTest store;
    ASSERT_NO_FATAL_FAILURE(make(store, State::in_use));
    const auto layout =
        store::node_store_params(store.description, *store.description.kernel(), 1).layout;
    const std::uint64_t checkpointed = std::uint64_t{store.checkpoint().nodes} * layout.stride;
    fs::resize_file(store.path("nodes.1"), graph::file_header_bytes + checkpointed);
    expect_rebuild(store);
}

TEST_F(StoreSurvival, ADamagedLogRecordIsReportedAndRepaired) {
    StoreUnderTest store;
    ASSERT_NO_FATAL_FAILURE(make(store, State::in_use));
    const auto position = store.checkpoint().log_position;
    const std::string file =
        store.path("log." + std::to_string(position / store.description.segment_bytes));
    const std::uint64_t offset = position % store.description.segment_bytes;
    flip_bits(file, offset + sizeof(log::RecordHeader) + 20, 1);
    const auto report = store.recover();
    EXPECT_EQ(report.start, Start::repair);
    EXPECT_EQ(store.state->repair.load(), Repair::changed_pages);
    ASSERT_EQ(report.damage.size(), 1u);
    EXPECT_EQ(report.damage[0].file, file);
    EXPECT_EQ(report.damage[0].offset, offset);
    EXPECT_FALSE(report.damage[0].reason.empty());
}

TEST_F(StoreSurvival, ADamagedLastLogRecordIsReportedAndRepaired) {
    StoreUnderTest store;
    ASSERT_NO_FATAL_FAILURE(store.build(5));
    ASSERT_EQ(store.recover().start, Start::clean);
    {
        auto index = store.open();
        store.insert(*index, 5);
    }
    flip_bits(store.path("log.0"), sizeof(log::RecordHeader) + 3, 0x10);
    const auto report = store.recover();
    EXPECT_EQ(report.start, Start::repair);
    ASSERT_EQ(report.damage.size(), 1u);
    EXPECT_EQ(report.damage[0].offset, 0u);
}

TEST_F(StoreSurvival, ACleanFolderWhoseLogGoesOnIsNotBelieved) {
    StoreUnderTest store;
    ASSERT_NO_FATAL_FAILURE(store.build(5));
    const auto clean = read_bytes(store.path("checkpoint"));
    ASSERT_EQ(store.recover().start, Start::clean);
    {
        auto index = store.open();
        store.insert(*index, 5);
    }
    write_bytes(store.path("checkpoint"), clean);
    expect_repair(store, Repair::every_page, 6);
}

// Whatever bit of the checkpoint is flipped: rows are never missing, at worst the heap has to tell.
TEST_F(StoreSurvival, ADamagedCheckpointNeverHidesRows) {
    StoreUnderTest store;
    ASSERT_NO_FATAL_FAILURE(make(store, State::in_use));
    const std::string backup = store.scratch("backup");
    fs::copy(store.folder(), backup);
    const std::size_t block = store.checkpoint().serial % 2 * store::checkpoint_block_bytes;
    int replayed = 0;
    for (std::size_t byte = 0; byte < sizeof(store::CheckpointRecord); byte += 7) {
        // In place: the inode of `nodes` must stay.
        for (const auto &entry : fs::directory_iterator(store.folder())) {
            const std::string name = entry.path().filename();
            if (!fs::exists(backup + "/" + name))
                fs::remove(entry.path());
        }
        for (const auto &entry : fs::directory_iterator(backup)) {
            const std::string name = entry.path().filename();
            write_bytes(store.path(name), read_bytes(entry.path()));
        }
        flip_bits(store.path("checkpoint"), block + byte, 0x04);
        const auto report = store.recover();
        EXPECT_NE(report.start, Start::clean);
        if (report.start != Start::replayed)
            continue;
        ++replayed;
        auto index = store.open();
        expect_rows(*index, row_range(0, 120));
    }
    EXPECT_EQ(replayed, 0) << "the log that the former checkpoint needs is cut";
}

// ---- Links are made behind everybody's back ----------------------------------------------------

// On a real disk, where a store through a mapping changes the file's times.
class DiskDirectory {
  public:
    DiskDirectory() {
        if (::mkdtemp(path_.data()) == nullptr)
            ADD_FAILURE() << "cannot make " << path_;
    }
    ~DiskDirectory() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    std::string file(const std::string &name) const { return path_ + "/" + name; }

  private:
    std::string path_ = "/var/tmp/dvec-test-XXXXXX";
};

TEST_F(StoreSurvival, LinkingATailAfterACleanStartLeavesTheCleanState) {
    DiskDirectory disk;
    StoreUnderTest store;
    store.description.directory = disk.file("index");
    ASSERT_NO_FATAL_FAILURE(store.build(20));
    FakeWal wal;
    ASSERT_EQ(store.recover().start, Start::clean);
    {
        auto index = store.open();
        for (Row row = 20; row < 60; ++row)
            store.insert(*index, row);
        ASSERT_TRUE(store.maintainer()->checkpoint(wal, CheckpointKind::clean).ok());
    }
    expect_all(store, Start::clean, 60);
    // Nobody writes, but the tail is there to be linked.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    link_all(*store.maintainer());
    EXPECT_EQ(store.state->clean.load(), 0u);
    EXPECT_EQ(store.checkpoint().clean, 0);
    expect_all(store, Start::replayed, 60);
    // And what was linked is kept by the next clean shutdown.
    link_all(*store.maintainer());
    ASSERT_TRUE(store.maintainer()->checkpoint(wal, CheckpointKind::clean).ok());
    expect_all(store, Start::clean, 60);
    EXPECT_EQ(store.state->graph.linked.load(), 60u);
}

}  // namespace
}  // namespace dvec::test
