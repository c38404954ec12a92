// What is appended comes back: every size, across segments, after discarding, from several writers.
#include <algorithm>
#include <map>
#include <mutex>
#include <thread>

#include "engine/base/checksum.hpp"
#include "log_fixture.hpp"

namespace dvec::test {
namespace {

using log::record_bytes;

void expect_whole(const ReplayResult &result, const std::vector<ReadRecord> &expected,
                  log::Position end) {
    ASSERT_TRUE(result.status.ok()) << result.status.message();
    EXPECT_EQ(result.records, expected);
    EXPECT_EQ(result.report.records, expected.size());
    EXPECT_TRUE(result.report.damage.empty());
    EXPECT_FALSE(result.report.broken_tail.has_value());
    EXPECT_EQ(result.report.end, end);
}

TEST(LogRoundTrip, EmptyLog) {
    LogUnderTest log;
    expect_whole(log.replay(), {}, 0);
    ASSERT_TRUE(log.writer().prepare(100).ok());
    expect_whole(log.replay(), {}, 0);
}

TEST(LogRoundTrip, EveryPayloadSizeUpToSeveralHundred) {
    LogUnderTest log;
    std::vector<ReadRecord> expected;
    for (std::uint32_t size = 0; size <= 700; ++size)
        expected.push_back(log.append(size, size));
    expect_whole(log.replay(), expected, log.state().head);
    EXPECT_EQ(log.state().max_lsn.load(), expected.back().lsn);
    EXPECT_EQ(log.replay().report.max_lsn, expected.back().lsn);
}

TEST(LogRoundTrip, TypesAndFieldsSurvive) {
    LogUnderTest log;
    std::vector<ReadRecord> expected;
    expected.push_back(log.append_payload(log::RecordType::remove, 0xFFFFFFFF, {}));
    expected.push_back(log.append_payload(log::RecordType::insert, 0, make_payload(7, 33)));
    expect_whole(log.replay(), expected, log.state().head);
}

TEST(LogRoundTrip, AChecksumMayComeFromTheCaller) {
    LogUnderTest log;
    const Payload payload = make_payload(7, 333);
    const std::span<const std::byte> bytes(payload);
    ASSERT_TRUE(log.writer().prepare(2000).ok());
    const auto append = [&](std::uint32_t checksum) {
        const log::Draft draft(log::RecordType::insert, 9, bytes.first(8), bytes.subspan(8),
                               checksum);
        const auto fits = log.writer().fits(draft);
        ASSERT_TRUE(fits.ok() && fits.value());
        log.writer().append(draft, 7);
    };
    const std::uint32_t checksum = base::checksum(0, payload.data(), payload.size());
    append(checksum);
    const log::Position end = log.state().head;
    expect_whole(log.replay(), {{log::RecordType::insert, 7, 9, payload, 0}}, end);
    append(checksum ^ 1);
    EXPECT_EQ(log.replay().records.size(), 1u) << "a record with another checksum is none";
}

TEST(LogRoundTrip, LargestPayloadIsTakenAndOneByteMoreIsRefused) {
    LogUnderTest log(256 * 1024);
    std::vector<ReadRecord> expected;
    for (std::uint32_t node = 0; node < 3; ++node)
        expected.push_back(log.append(node, log::max_payload_bytes));
    expect_whole(log.replay(), expected, log.state().head);

    const Payload over = make_payload(1, log::max_payload_bytes + 1);
    const auto fits = log.writer().fits(log::Draft(log::RecordType::insert, 1, over));
    EXPECT_EQ(fits.status().code(), base::Code::limit_exceeded);
    EXPECT_EQ(log.writer().prepare(256 * 1024 + 1).code(), base::Code::limit_exceeded);
}

TEST(LogRoundTrip, SegmentBoundsTheRecord) {
    LogUnderTest log(small_segment);
    const std::size_t largest = small_segment - sizeof(log::RecordHeader);
    std::vector<ReadRecord> expected;
    for (std::uint32_t node = 0; node < 3; ++node)
        expected.push_back(log.append(node, largest));
    expect_whole(log.replay(), expected, 3 * small_segment);

    const Payload over = make_payload(1, largest + 1);
    const auto fits = log.writer().fits(log::Draft(log::RecordType::insert, 1, over));
    EXPECT_EQ(fits.status().code(), base::Code::limit_exceeded);
}

// The rest of a segment may hold nothing, less than a header, exactly a header, or more.
TEST(LogRoundTrip, EveryRestAtTheEndOfASegment) {
    for (std::size_t rest = 0; rest <= 128; rest += log::record_alignment) {
        SCOPED_TRACE(rest);
        LogUnderTest log(small_segment);
        std::vector<ReadRecord> expected;
        expected.push_back(log.append(1, small_segment - sizeof(log::RecordHeader) - rest));
        ASSERT_EQ(log.state().head.load(), small_segment - rest);
        expect_whole(log.replay(), expected, small_segment - rest);
        expected.push_back(log.append(2, 200));
        EXPECT_EQ(expected.back().position, small_segment);
        expect_whole(log.replay(), expected, log.state().head);
    }
}

TEST(LogRoundTrip, ManySegments) {
    LogUnderTest log(small_segment);
    std::vector<ReadRecord> expected;
    for (std::uint32_t node = 0; node < 2000; ++node)
        expected.push_back(log.append(node, node * 37 % 1500));
    EXPECT_GT(log.state().head.load(), 300 * small_segment);
    expect_whole(log.replay(), expected, log.state().head);
}

TEST(LogRoundTrip, ReplayBeginsAtAnyRecord) {
    LogUnderTest log(small_segment);
    std::vector<ReadRecord> expected;
    for (std::uint32_t node = 0; node < 60; ++node)
        expected.push_back(log.append(node, node * 37 % 900));
    for (std::size_t begin = 0; begin < expected.size(); ++begin)
        expect_whole(log.replay(expected[begin].position),
                     {expected.begin() + static_cast<std::ptrdiff_t>(begin), expected.end()},
                     log.state().head);
    expect_whole(log.replay(log.state().head), {}, log.state().head);
}

TEST(LogRoundTrip, UnalignedOrImpossibleBeginningIsRefused) {
    LogUnderTest log;
    EXPECT_EQ(log.replay(4).status.code(), base::Code::invalid_argument);
    EXPECT_EQ(log.replay((log::max_segment_number + 2) * small_segment).status.code(),
              base::Code::invalid_argument);
}

TEST(LogRoundTrip, ApplyStopsReplay) {
    LogUnderTest log;
    for (std::uint32_t node = 0; node < 5; ++node)
        log.append(node, 10);
    int calls = 0;
    const auto report =
        log::replay(base::posix_file_system(), log.geometry(), 0, [&](const log::Record &) {
            return ++calls == 3 ? base::Status(base::Code::interrupted, "enough") : base::Status();
        });
    EXPECT_EQ(report.status().code(), base::Code::interrupted);
    EXPECT_EQ(calls, 3);
}

TEST(LogRoundTrip, ThrowingApplyBecomesAStatus) {
    LogUnderTest log;
    log.append(1, 10);
    const auto report =
        log::replay(base::posix_file_system(), log.geometry(), 0,
                    [](const log::Record &) -> base::Status { throw std::bad_alloc(); });
    EXPECT_EQ(report.status().code(), base::Code::out_of_memory);
}

TEST(LogRoundTrip, UnknownTypeIsUnsupported) {
    LogUnderTest log;
    log.append(1, 10);
    log.append_payload(static_cast<log::RecordType>(77), 2, make_payload(2, 5));
    EXPECT_EQ(log.replay().status.code(), base::Code::unsupported);
}

TEST(LogRoundTrip, GeometryIsValidated) {
    log::SharedState state{};
    MutexOfNobody sync_lock;
    for (const std::uint64_t bytes :
         {std::uint64_t{0}, std::uint64_t{4095}, std::uint64_t{6000}, log::max_segment_bytes * 2}) {
        const auto writer = log::Writer::open(
            base::posix_file_system(), {.directory = {}, .segment_bytes = bytes}, state, sync_lock);
        EXPECT_EQ(writer.status().code(), base::Code::invalid_argument) << bytes;
    }
}

TEST(LogRoundTrip, PlainReplayReadsALogWithoutIdentity) {
    TempDirectory directory;
    log::SharedState state{};
    MutexOfNobody sync_lock;
    auto writer = log::Writer::open(base::posix_file_system(),
                                    {.directory = directory.path(), .segment_bytes = small_segment},
                                    state, sync_lock);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(writer.value()->prepare(100).ok());
    const Payload payload = make_payload(3, 20);
    const log::Draft draft(log::RecordType::insert, 9, payload);
    ASSERT_TRUE(writer.value()->fits(draft).value());
    writer.value()->append(draft, 3);
    int seen = 0;
    const auto report = log::replay(base::posix_file_system(), directory.path(), small_segment, 0,
                                    [&](const log::Record &record) -> base::Status {
                                        seen += record.node == 3 && record.lsn == 9;
                                        return {};
                                    });
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(seen, 1);
}

TEST(LogRoundTrip, FitsAsksForPreparationAndPrepareGivesIt) {
    LogUnderTest log(small_segment);
    const Payload payload = make_payload(1, 3000);
    const log::Draft draft(log::RecordType::insert, 1, payload);
    EXPECT_FALSE(log.writer().fits(draft).value());
    ASSERT_TRUE(log.writer().prepare(draft.record_bytes()).ok());
    EXPECT_EQ(log.state().ready_end.load(), small_segment);
    EXPECT_TRUE(log.writer().fits(draft).value());
    log.writer().append(draft, 1);
    // There are bytes left, but not this many in one piece.
    EXPECT_FALSE(log.writer().fits(draft).value());
    ASSERT_TRUE(log.writer().prepare(small_segment).ok());
    EXPECT_EQ(log.state().ready_end.load(), 2 * small_segment);
    EXPECT_TRUE(log.writer().fits(draft).value());
    ASSERT_TRUE(log.writer().prepare(draft.record_bytes()).ok());
    EXPECT_EQ(log.state().ready_end.load(), 2 * small_segment);
}

TEST(LogRoundTrip, DiscardRemovesWholeSegmentsOnly) {
    LogUnderTest log(small_segment);
    std::vector<ReadRecord> records;
    for (std::uint32_t node = 0; node < 40; ++node)
        records.push_back(log.append(node, 500));
    const log::Position keep = records[20].position;
    const std::uint64_t keep_segment = keep / small_segment;
    ASSERT_NE(keep % small_segment, 0u);

    EXPECT_EQ(log.writer().discard_before(log.state().head + 8).code(),
              base::Code::invalid_argument);
    EXPECT_EQ(log.state().first.load(), 0u);
    ASSERT_TRUE(log.writer().discard_before(keep).ok());
    EXPECT_EQ(log.state().synced.load(), keep);
    EXPECT_EQ(log.state().first.load(), keep_segment * small_segment);
    auto segments = log::list_segments(base::posix_file_system(), log.geometry());
    ASSERT_TRUE(segments.ok());
    EXPECT_EQ(segments.value().front(), keep_segment);
    expect_whole(log.replay(keep), {records.begin() + 20, records.end()}, log.state().head);
    // Going back is nothing, not an error.
    EXPECT_TRUE(log.writer().discard_before(0).ok());
    EXPECT_EQ(log.state().first.load(), keep_segment * small_segment);
    EXPECT_EQ(log.state().synced.load(), keep);
    EXPECT_TRUE(log.writer().sync().ok());
    EXPECT_EQ(log.state().synced.load(), log.state().head.load());
}

TEST(LogRoundTrip, SyncFollowsTheHead) {
    LogUnderTest log(small_segment);
    EXPECT_TRUE(log.writer().sync().ok());
    for (std::uint32_t node = 0; node < 20; ++node)
        log.append(node, 900);
    EXPECT_EQ(log.state().synced.load(), 0u);
    // Another process's writer, which never appended and maps nothing.
    auto worker = log.make_writer();
    ASSERT_TRUE(worker->sync().ok());
    EXPECT_EQ(log.state().synced.load(), log.state().head.load());
}

TEST(LogRoundTrip, ThreadsWithOneWriterEach) {
    LogUnderTest log(64 * 1024);
    constexpr std::uint32_t threads = 4;
    constexpr std::uint32_t per_thread = 500;
    std::mutex append_lock;
    std::mutex prepare_lock;
    std::atomic<bool> running{true};
    const auto appender = [&](std::uint32_t thread) {
        auto writer = log.make_writer();
        for (std::uint32_t i = 0; i < per_thread; ++i) {
            const std::uint32_t node = thread * per_thread + i;
            const Payload payload = make_payload(node, node * 31 % 2000);
            const log::Draft draft(log::RecordType::insert, 1000 + node, payload);
            for (;;) {
                {
                    const std::lock_guard guard(append_lock);
                    const auto fits = writer->fits(draft);
                    ASSERT_TRUE(fits.ok()) << fits.status().message();
                    if (fits.value()) {
                        writer->append(draft, node);
                        break;
                    }
                }
                const std::lock_guard guard(prepare_lock);
                ASSERT_TRUE(writer->prepare(draft.record_bytes()).ok());
            }
        }
    };
    std::thread syncer([&] {
        auto writer = log.make_writer();
        while (running.load())
            ASSERT_TRUE(writer->sync().ok());
    });
    std::vector<std::thread> appenders;
    for (std::uint32_t thread = 0; thread < threads; ++thread)
        appenders.emplace_back(appender, thread);
    for (std::thread &thread : appenders)
        thread.join();
    running = false;
    syncer.join();

    const ReplayResult result = log.replay();
    ASSERT_TRUE(result.status.ok());
    EXPECT_TRUE(result.report.damage.empty());
    EXPECT_FALSE(result.report.broken_tail.has_value());
    EXPECT_EQ(result.report.end, log.state().head.load());
    ASSERT_EQ(result.records.size(), threads * per_thread);
    // By thread: each thread's records keep their order.
    std::map<std::uint32_t, std::uint32_t> next;
    for (const ReadRecord &record : result.records) {
        EXPECT_EQ(record.node % per_thread, next[record.node / per_thread]++);
        EXPECT_EQ(record.payload, make_payload(record.node, record.node * 31 % 2000));
    }
}

}  // namespace
}  // namespace dvec::test
