// The operating system refuses: full disk, failed sync, too many open files. Every failure comes
// out as a Status, leaves the shared state as it was, and, unless a sync failed, can be tried
// again.
#include <cerrno>
#include <filesystem>

#include "../support/faulty_file_system.hpp"
#include "log_fixture.hpp"

namespace dvec::test {
namespace {

namespace fs = std::filesystem;

class LogFault : public testing::Test {
  protected:
    std::size_t files() const {
        const fs::directory_iterator names(log_.directory().path());
        return static_cast<std::size_t>(std::distance(names, fs::directory_iterator()));
    }

    FaultyFileSystem file_system_;
    FaultPlan &plan_ = file_system_.plan();
    LogUnderTest log_{std::uint64_t{4} << 20, file_system_};
};

TEST_F(LogFault, FullDiskInPrepareChangesNothing) {
    const ReadRecord record = log_.append(1, 100);
    const std::size_t files_before = files();
    // A segment of 4 MB takes several writes: each of them may be the one that does not fit.
    for (std::uint64_t nth = 1; nth <= 4; ++nth) {
        plan_.fail(Operation::write, nth, ENOSPC);
        const log::Position ready = log_.state().ready_end;
        EXPECT_EQ(log_.writer().prepare(log_.geometry().segment_bytes).code(),
                  base::Code::no_space);
        EXPECT_EQ(log_.state().ready_end.load(), ready);
        EXPECT_EQ(files(), files_before) << "what was written is given back";
    }
    // The rest of the present segment is still good.
    const ReadRecord another = log_.append(2, 100);
    EXPECT_EQ(log_.replay().records, (std::vector<ReadRecord>{record, another}));
    plan_.heal();
    EXPECT_TRUE(log_.writer().prepare(log_.geometry().segment_bytes).ok());
    EXPECT_EQ(log_.state().ready_end.load(), 2 * log_.geometry().segment_bytes);
}

TEST_F(LogFault, EveryStepOfPrepareMayFail) {
    for (const Operation operation : {Operation::open, Operation::write, Operation::sync,
                                      Operation::rename, Operation::sync_directory}) {
        SCOPED_TRACE(static_cast<int>(operation));
        plan_.fail(operation, 1, EIO);
        EXPECT_EQ(log_.writer().prepare(100).code(), base::Code::io_error);
        EXPECT_EQ(log_.state().ready_end.load(), 0u);
        EXPECT_EQ(files(), 0u);
        plan_.heal();
    }
    log_.append(1, 100);
    EXPECT_EQ(log_.replay().records.size(), 1u);
}

TEST_F(LogFault, MappingMayFailAndBeTriedAgain) {
    const Payload payload = make_payload(1, 100);
    const log::Draft draft(log::RecordType::insert, 1, payload);
    ASSERT_TRUE(log_.writer().prepare(draft.record_bytes()).ok());
    plan_.fail(Operation::open, 1, EMFILE);
    EXPECT_EQ(log_.writer().fits(draft).status().code(), base::Code::io_error);
    plan_.fail(Operation::map, 1, ENOMEM);
    EXPECT_EQ(log_.writer().fits(draft).status().code(), base::Code::out_of_memory);
    EXPECT_EQ(log_.state().head.load(), 0u);
    const auto fits = log_.writer().fits(draft);
    ASSERT_TRUE(fits.ok());
    EXPECT_TRUE(fits.value());
}

TEST_F(LogFault, ShortSegmentIsNotMapped) {
    const Payload payload = make_payload(1, 100);
    const log::Draft draft(log::RecordType::insert, 1, payload);
    ASSERT_TRUE(log_.writer().prepare(draft.record_bytes()).ok());
    fs::resize_file(log_.segment(0), 5000);
    EXPECT_EQ(log_.writer().fits(draft).status().code(), base::Code::corrupt);
}

TEST_F(LogFault, FailedSyncIsFinalForEveryWriter) {
    log_.append(1, 100);
    ASSERT_TRUE(log_.writer().sync().ok());
    const log::Position synced = log_.state().synced;
    log_.append(2, 100);
    plan_.fail(Operation::sync, 1, EIO);
    EXPECT_EQ(log_.writer().sync().code(), base::Code::io_error);
    EXPECT_EQ(log_.state().synced.load(), synced);

    const std::uint64_t tried = plan_.count(Operation::sync);
    EXPECT_EQ(log_.writer().sync().code(), base::Code::io_error);
    EXPECT_EQ(log_.make_writer()->sync().code(), base::Code::io_error);
    EXPECT_EQ(log_.writer().resume(log_.replay().report).code(), base::Code::io_error);
    EXPECT_EQ(plan_.count(Operation::sync), tried) << "never retried";
    EXPECT_EQ(log_.state().synced.load(), synced);

    ASSERT_TRUE(log_.writer().begin().ok());
    const ReadRecord record = log_.append(3, 100);
    EXPECT_TRUE(log_.writer().sync().ok());
    EXPECT_EQ(log_.replay().records, std::vector<ReadRecord>{record});
}

// The kernel tells of a loss once, so a file that holds records is made longer, and synced, by
// nobody while another syncs it.
TEST_F(LogFault, AFileWithRecordsIsMadeLongerUnderTheSyncLock) {
    log_.append(1, 100);
    const log::Position ready = log_.state().ready_end;
    ASSERT_LT(ready, log_.geometry().segment_bytes);
    std::uint64_t before = 0, under = 0;
    log_.sync_lock().on_lock = [&] { before = plan_.count(Operation::sync); };
    log_.sync_lock().on_unlock = [&] { under += plan_.count(Operation::sync) - before; };
    const std::uint64_t at_first = plan_.count(Operation::sync);
    ASSERT_TRUE(log_.writer().prepare(ready + 100'000).ok());
    EXPECT_EQ(log_.state().ready_end.load() / log_.geometry().segment_bytes, 0u);
    EXPECT_GE(under, 1u);
    EXPECT_EQ(under, plan_.count(Operation::sync) - at_first);
}

// What another was told while this one waited for the lock is final for both.
TEST_F(LogFault, AFileIsNotMadeLongerAfterALoss) {
    log_.append(1, 100);
    const auto other = log_.make_writer();
    std::uint64_t tried = 0;
    log_.sync_lock().on_lock = [&] {
        plan_.fail(Operation::sync, 1, EIO);
        EXPECT_EQ(other->sync().code(), base::Code::io_error);
        plan_.heal();
        tried = plan_.count(Operation::sync);
    };
    const log::Position ready = log_.state().ready_end;
    EXPECT_EQ(log_.writer().prepare(ready + 100'000).code(), base::Code::io_error);
    EXPECT_EQ(log_.state().ready_end.load(), ready);
    EXPECT_EQ(plan_.count(Operation::sync), tried) << "never retried";
}

TEST_F(LogFault, SyncThatCouldNotBeginIsNotFinal) {
    log_.append(1, 100);
    plan_.fail(Operation::open, 1, EMFILE);
    EXPECT_EQ(log_.writer().sync().code(), base::Code::io_error);
    EXPECT_EQ(log_.state().synced.load(), 0u);
    EXPECT_TRUE(log_.writer().sync().ok());
    EXPECT_EQ(log_.state().synced.load(), log_.state().head.load());
}

TEST_F(LogFault, SyncSyncsEverySegmentOnceAndNothingTwice) {
    for (std::uint32_t node = 0; node < 100; ++node)
        log_.append(node, 100'000);
    const std::uint64_t segments = log_.state().head / log_.geometry().segment_bytes + 1;
    ASSERT_GE(segments, 3u);
    std::uint64_t before = plan_.count(Operation::sync);
    ASSERT_TRUE(log_.writer().sync().ok());
    EXPECT_EQ(plan_.count(Operation::sync) - before, segments);
    before = plan_.count(Operation::sync);
    ASSERT_TRUE(log_.writer().sync().ok());
    EXPECT_EQ(plan_.count(Operation::sync) - before, 0u);
}

// A segment missing under a sync is an error, unless it was discarded because others had synced it.
TEST_F(LogFault, SyncOfAMissingSegment) {
    for (std::uint32_t node = 0; node < 100; ++node)
        log_.append(node, 100'000);
    ASSERT_TRUE(log_.writer().sync().ok());
    ASSERT_TRUE(log_.writer().discard_before(log_.geometry().segment_bytes).ok());
    log_.state().synced = 0;  // as a sync saw it that began before the others'
    EXPECT_TRUE(log_.writer().sync().ok());
    EXPECT_EQ(log_.state().synced.load(), log_.state().head.load());

    fs::remove(log_.segment(1));
    log_.state().synced = 0;
    EXPECT_EQ(log_.writer().sync().code(), base::Code::not_found);
}

TEST_F(LogFault, ResumeMayFailAtEveryStep) {
    std::vector<ReadRecord> records;
    for (std::uint32_t node = 0; node < 100; ++node)
        records.push_back(log_.append(node, 100'000));
    ASSERT_TRUE(log_.writer().prepare(log_.geometry().segment_bytes).ok());
    const log::ReplayReport report = log_.replay().report;
    const log::Position head = log_.state().head;
    for (const Operation operation : {Operation::list, Operation::remove, Operation::open,
                                      Operation::write, Operation::sync_directory}) {
        for (std::uint64_t nth = 1; nth <= 10; ++nth) {
            log_.state().head = 17;
            const std::uint64_t before = plan_.count(operation);
            plan_.fail(operation, nth, EIO);
            const base::Status status = log_.writer().resume(report);
            plan_.heal();
            if (plan_.count(operation) - before < nth)
                break;
            // Opening a file only to give its space back is a courtesy: without it the file goes as
            // well.
            if (operation == Operation::open && status.ok())
                continue;
            EXPECT_EQ(status.code(), base::Code::io_error);
            EXPECT_EQ(log_.state().head.load(), 17u);
        }
    }
    ASSERT_TRUE(log_.writer().resume(report).ok());
    EXPECT_EQ(log_.state().head.load(), head);
    EXPECT_EQ(log_.replay().records, records);
}

TEST_F(LogFault, ResumeMakesEverySegmentDurable) {
    for (std::uint32_t node = 0; node < 100; ++node)
        log_.append(node, 100'000);
    const std::uint64_t segments = log_.state().head / log_.geometry().segment_bytes + 1;
    const log::ReplayReport report = log_.replay().report;
    std::uint64_t before = plan_.count(Operation::sync);
    ASSERT_TRUE(log_.writer().resume(report).ok());
    EXPECT_EQ(plan_.count(Operation::sync) - before, segments);

    plan_.fail(Operation::sync, segments, EIO);
    log_.state().head = 17;
    EXPECT_EQ(log_.writer().resume(report).code(), base::Code::io_error);
    EXPECT_EQ(log_.state().head.load(), 17u);
    before = plan_.count(Operation::sync);
    EXPECT_EQ(log_.writer().resume(report).code(), base::Code::io_error);
    EXPECT_EQ(plan_.count(Operation::sync), before) << "never retried";
}

TEST_F(LogFault, UnreadableSegmentIsAnErrorNotTheEnd) {
    log_.append(1, 100);
    plan_.fail(Operation::read, 1, EIO);
    EXPECT_EQ(log_.replay().status.code(), base::Code::io_error);
    plan_.fail(Operation::list, 1, EACCES);
    EXPECT_EQ(log_.replay().status.code(), base::Code::io_error);
    plan_.fail(Operation::open, 1, EMFILE);
    EXPECT_EQ(log_.replay().status.code(), base::Code::io_error);
    EXPECT_TRUE(log_.replay().status.ok());
}

TEST_F(LogFault, DiscardMayFailAndBeCleanedUpLater) {
    for (std::uint32_t node = 0; node < 100; ++node)
        log_.append(node, 100'000);
    ASSERT_TRUE(log_.writer().sync().ok());
    const log::Position head = log_.state().head;
    plan_.fail(Operation::remove, 1, EIO);
    EXPECT_EQ(log_.writer().discard_before(head).code(), base::Code::io_error);
    plan_.heal();
    log_.crash_and_resume(head);
    EXPECT_EQ(files(), 1u);
}

}  // namespace
}  // namespace dvec::test
