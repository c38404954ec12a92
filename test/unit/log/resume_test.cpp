// Going on after a crash: what resume() and begin() leave in the folder and in the shared state,
// and what becomes of records that their writer did not live to finish.
#include <algorithm>
#include <cstring>
#include <filesystem>

#include "log_fixture.hpp"

namespace dvec::test {
namespace {

namespace fs = std::filesystem;

bool all_zero(const std::vector<char> &bytes, std::uint64_t begin) {
    return std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(begin), bytes.end(),
                       [](char byte) { return byte == 0; });
}

std::vector<std::uint32_t> segments_of(const LogUnderTest &log) {
    auto segments = log::list_segments(base::posix_file_system(), log.geometry());
    EXPECT_TRUE(segments.ok());
    return segments.value();
}

TEST(LogResume, StateAfterAnEmptyLog) {
    LogUnderTest log;
    log.crash_and_resume();
    EXPECT_EQ(log.state().head.load(), 0u);
    EXPECT_EQ(log.state().ready_end.load(), 0u);
    EXPECT_EQ(log.state().synced.load(), 0u);
    EXPECT_EQ(log.state().first.load(), 0u);
    EXPECT_EQ(log.state().max_lsn.load(), 0u);
    const ReadRecord record = log.append(1, 100);
    EXPECT_EQ(log.replay().records, std::vector<ReadRecord>{record});
}

TEST(LogResume, StateAfterALogOfSeveralSegments) {
    LogUnderTest log;
    std::vector<ReadRecord> records;
    for (std::uint32_t node = 0; node < 20; ++node)
        records.push_back(log.append(node, 900));
    const log::Position head = log.state().head;
    const std::uint64_t last = head / small_segment;
    ASSERT_TRUE(log.writer().prepare(small_segment).ok());  // one more, unused
    write_bytes(log.directory().file("log.new"), std::vector<char>(10, 'x'));

    log.crash_and_resume(records[9].position);
    EXPECT_EQ(log.state().head.load(), head);
    EXPECT_EQ(log.state().synced.load(), head);
    EXPECT_EQ(log.state().first.load(), records[9].position / small_segment * small_segment);
    EXPECT_EQ(log.state().ready_end.load(), (last + 1) * small_segment);
    EXPECT_EQ(log.state().max_lsn.load(), records.back().lsn);
    EXPECT_EQ(segments_of(log).front(), records[9].position / small_segment);
    EXPECT_EQ(segments_of(log).back(), last);
    EXPECT_FALSE(fs::exists(log.directory().file("log.new")));
}

TEST(LogResume, EndAtASegmentBoundary) {
    LogUnderTest log;
    std::vector<ReadRecord> records{log.append(1, small_segment - sizeof(log::RecordHeader))};
    log.crash_and_resume();
    EXPECT_EQ(log.state().head.load(), small_segment);
    EXPECT_EQ(log.state().ready_end.load(), small_segment);
    records.push_back(log.append(2, 50));
    EXPECT_EQ(log.replay().records, records);
}

TEST(LogResume, CrashRightBehindASegmentEnd) {
    LogUnderTest log;
    std::vector<ReadRecord> records{log.append(1, 3000)};
    log.append(2, 3000);
    fs::remove(log.segment(1));
    const ReplayResult result = log.crash_and_resume();
    EXPECT_EQ(result.report.end, small_segment);
    EXPECT_TRUE(result.report.damage.empty());
    ASSERT_TRUE(result.report.broken_tail.has_value()) << "something was in that segment";
    EXPECT_EQ(result.report.broken_tail->file, log.segment(1));
    records.push_back(log.append(3, 10));
    EXPECT_EQ(records.back().position, small_segment);
    EXPECT_EQ(log.replay().records, records);
}

TEST(LogResume, ClearsWhatLiesBehindTheEnd) {
    LogUnderTest log;
    const ReadRecord kept = log.append(1, 100);
    const log::Position end = log.state().head;
    for (std::uint32_t node = 2; node < 12; ++node)
        log.append(node, 900);
    // All behind the first record is broken beyond recognition.
    const std::uint64_t segments = log.state().head / small_segment + 1;
    for (std::uint64_t segment = 0; segment < segments; ++segment) {
        std::vector<char> bytes = read_bytes(log.segment(segment));
        for (std::uint64_t offset = segment == 0 ? end : 0; offset < bytes.size();
             offset += sizeof(log::RecordHeader))
            bytes[offset] ^= 0x55;
        write_bytes(log.segment(segment), bytes);
    }
    const ReplayResult result = log.crash_and_resume();
    EXPECT_EQ(result.records, std::vector<ReadRecord>{kept});
    EXPECT_TRUE(result.report.broken_tail.has_value());
    EXPECT_TRUE(all_zero(read_bytes(log.segment(0)), end));
    EXPECT_EQ(segments_of(log), std::vector<std::uint32_t>{0});
    EXPECT_FALSE(log.replay().report.broken_tail.has_value());
}

TEST(LogResume, ShortOrMissingLastSegmentIsMadeWhole) {
    for (const bool missing : {false, true}) {
        SCOPED_TRACE(missing);
        LogUnderTest log;
        std::vector<ReadRecord> records{log.append(1, 100), log.append(2, 100)};
        const log::Position from = missing ? records[1].position : 0;
        if (missing)
            fs::remove(log.segment(0));
        else
            fs::resize_file(log.segment(0), records[1].position + 5);
        log.crash_and_resume(from);
        EXPECT_EQ(log.state().head.load(), records[1].position);
        EXPECT_EQ(fs::file_size(log.segment(0)), small_segment);
        records[1] = log.append(3, 200);
        EXPECT_EQ(log.replay(from).records.back(), records[1]);
    }
}

TEST(LogResume, CanBeRepeated) {
    LogUnderTest log;
    std::vector<ReadRecord> records;
    for (std::uint32_t node = 0; node < 10; ++node)
        records.push_back(log.append(node, 700));
    for (int crash = 0; crash < 3; ++crash)
        EXPECT_EQ(log.crash_and_resume().records, records);
}

TEST(LogResume, LoweredMaxLsnIsKept) {
    LogUnderTest log;
    log.append(5, 10);
    ReplayResult result = log.replay();
    result.report.max_lsn = 3;
    ASSERT_TRUE(log.writer().resume(result.report).ok());
    EXPECT_EQ(log.state().max_lsn.load(), 3u);
}

// Writers that other processes hold on the files that were replaced must not write into the old
// ones.
TEST(LogResume, OtherWritersFollowReplacedSegments) {
    LogUnderTest log;
    auto other = log.make_writer();
    const Payload payload = make_payload(1, 100);
    const log::Draft draft(log::RecordType::insert, 1, payload);
    ASSERT_TRUE(log.writer().prepare(draft.record_bytes()).ok());
    ASSERT_TRUE(other->fits(draft).value());
    other->append(draft, 1);

    ASSERT_TRUE(log.writer().begin().ok());
    ASSERT_TRUE(log.writer().prepare(draft.record_bytes()).ok());
    ASSERT_TRUE(other->fits(draft).value());
    other->append(draft, 2);
    const ReplayResult result = log.replay();
    ASSERT_EQ(result.records.size(), 1u);
    EXPECT_EQ(result.records[0].node, 2u);
}

TEST(LogBegin, DropsWhateverIsThere) {
    LogUnderTest log;
    for (std::uint32_t node = 0; node < 10; ++node)
        log.append(node, 900);
    write_bytes(log.segment(77), std::vector<char>(50, 'x'));
    ASSERT_TRUE(log.writer().begin(5 * small_segment + 8).ok());
    EXPECT_TRUE(segments_of(log).empty());
    EXPECT_EQ(log.state().head.load(), 6 * small_segment);
    EXPECT_EQ(log.state().first.load(), 6 * small_segment);
    const ReadRecord record = log.append(1, 30);
    EXPECT_EQ(record.position, 6 * small_segment);
    EXPECT_EQ(log.replay(6 * small_segment).records, std::vector<ReadRecord>{record});
}

TEST(LogBegin, SegmentNumbersRunOut) {
    LogUnderTest log;
    const log::Position last = log::max_segment_number * small_segment;
    EXPECT_EQ(log.writer().begin(last + 8).code(), base::Code::limit_exceeded);
    ASSERT_TRUE(log.writer().begin(last).ok());
    const ReadRecord record = log.append(1, 3000);
    EXPECT_EQ(record.position, last);
    EXPECT_EQ(log.writer().prepare(3000).code(), base::Code::limit_exceeded);
    EXPECT_TRUE(log.writer().prepare(100).ok());
    EXPECT_EQ(log.replay(last).records, std::vector<ReadRecord>{record});
    const ReadRecord filler =
        log.append(2, last + small_segment - log.state().head - sizeof(log::RecordHeader));
    EXPECT_EQ(log.writer().prepare(8).code(), base::Code::limit_exceeded);
    EXPECT_EQ(log.crash_and_resume(last).records, (std::vector<ReadRecord>{record, filler}));
    EXPECT_EQ(log.writer().prepare(8).code(), base::Code::limit_exceeded);
}

// A writer killed while copying leaves a zero magic and any part of the rest. Both lives are tried:
// the shared state survives (the next append overwrites), or it is rebuilt.
TEST(LogUnfinished, EveryPrefixOfARecord) {
    LogUnderTest log;
    std::vector<ReadRecord> records{log.append(1, 100), log.append(2, 300)};
    const log::Position head = log.state().head;
    const ReadRecord next = log.append(3, 200);
    const std::vector<char> finished = read_bytes(log.segment(0));

    for (std::uint64_t written = 4; written <= log::record_bytes(200); ++written) {
        SCOPED_TRACE(written);
        std::vector<char> bytes = finished;
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(head), 4, 0);
        std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(head + written), bytes.end(), 0);
        write_bytes(log.segment(0), bytes);
        const ReplayResult result = log.replay();
        ASSERT_EQ(result.records, records);
        ASSERT_EQ(result.report.end, head);
        ASSERT_TRUE(result.report.damage.empty());
        ASSERT_FALSE(result.report.broken_tail.has_value());

        if (written % 2 == 0) {
            log.open();
            log.state().head = head;
        } else {
            log.crash_and_resume();
        }
        std::vector<ReadRecord> expected = records;
        for (const std::size_t size : {0u, 5u, 90u}) {
            expected.push_back(log.append(50, size));
            const ReplayResult later = log.replay();
            ASSERT_EQ(later.records, expected);
            ASSERT_FALSE(later.report.broken_tail.has_value());
        }
    }
    EXPECT_EQ(next.position, head);
}

// A finished record that was never acknowledged stands at the head when its writer dies before
// moving the head: it may be found or overwritten, but a shorter record over it leaves no trace of
// it.
TEST(LogUnfinished, FinishedButUnacknowledgedRecordIsOverwrittenCleanly) {
    LogUnderTest log;
    std::vector<ReadRecord> records{log.append(1, 100)};
    const log::Position head = log.state().head;
    // Its payload is full of what looks like magic numbers.
    Payload magics(400);
    for (std::size_t i = 0; i < magics.size(); i += 4)
        std::memcpy(magics.data() + i, &log::record_magic, 4);
    const ReadRecord orphan = log.append_payload(log::RecordType::insert, 2, magics);
    log.state().head = head;
    EXPECT_EQ(log.replay().records, (std::vector<ReadRecord>{records[0], orphan}));

    records.push_back(log.append(3, 5));
    const std::vector<char> bytes = read_bytes(log.segment(0));
    for (std::uint64_t i = head + sizeof(log::RecordHeader) + 5; i < log.state().head; ++i)
        EXPECT_EQ(bytes[i], 0) << "padding";
    const ReplayResult result = log.replay();
    EXPECT_EQ(result.records, records);
    EXPECT_EQ(result.report.end, log.state().head.load());
    EXPECT_TRUE(result.report.damage.empty());
    EXPECT_FALSE(result.report.broken_tail.has_value());
}

// Killed between the segment_end and the record behind it, or right behind that one.
TEST(LogUnfinished, ChangeOfSegments) {
    LogUnderTest log;
    std::vector<ReadRecord> records{log.append(1, 3000)};
    const log::Position head = log.state().head;
    log.append(2, 3000);
    ASSERT_EQ(log.state().head.load() / small_segment, 1u);

    // The segment_end was written, the head not moved; nothing is in the next segment yet.
    write_bytes(log.segment(1), std::vector<char>(small_segment, 0));
    log.open();
    log.state().head = head;
    records.push_back(log.append(3, 100));
    EXPECT_EQ(records.back().position, head);
    EXPECT_EQ(log.replay().records, records);
    EXPECT_TRUE(log.replay().report.damage.empty());

    // The head stands at the next segment, with a finished record behind it.
    const ReadRecord orphan = log.append(4, 3000);
    ASSERT_EQ(orphan.position, small_segment);
    log.state().head = small_segment;
    records.push_back(log.append(5, 100));
    EXPECT_EQ(records.back().position, small_segment);
    EXPECT_EQ(log.replay().records, records);
    EXPECT_TRUE(log.replay().report.damage.empty());
}

// A segment larger than a step grows while it is written, and a log of few records stays small.
TEST(LogResume, ASegmentGrowsInStepsAndIsCutBackToWhatItHolds) {
    constexpr std::uint64_t segment_bytes = 1 << 20;
    LogUnderTest log(segment_bytes);
    std::vector<ReadRecord> records;
    std::uint64_t steps = 0;
    std::uint64_t before = 0;
    for (std::uint32_t node = 0; log.state().head < 2 * segment_bytes + 5000; ++node) {
        records.push_back(log.append(node, node * 7919 % 3000));
        const std::uint64_t segment = log.state().head / segment_bytes;
        const std::uint64_t bytes = fs::file_size(log.segment(segment));
        ASSERT_EQ(segment * segment_bytes + bytes, log.state().ready_end.load());
        steps += bytes != before;
        before = bytes;
        if (segment > 0) {
            ASSERT_EQ(fs::file_size(log.segment(segment - 1)), segment_bytes);
        }
    }
    EXPECT_GT(steps, 100u);
    EXPECT_EQ(log.crash_and_resume().records, records);
    EXPECT_EQ(fs::file_size(log.segment(2)), log.state().ready_end.load() - 2 * segment_bytes);
    EXPECT_LE(fs::file_size(log.segment(2)), 12288u);
    for (std::uint32_t node = 10'000; node < 10'100; ++node)
        records.push_back(log.append(node, 900));
    EXPECT_EQ(log.crash_and_resume().records, records);
}

// For every place in a segment: the log goes on in the next one, whether records follow or not, and
// what was before can be discarded.
TEST(LogResume, AnEndedSegmentIsFollowedByTheNext) {
    MutexOfNobody append;
    for (std::size_t size = 0; size < small_segment - 32; size += 8) {
        SCOPED_TRACE(size);
        LogUnderTest log;
        std::vector<ReadRecord> records{log.append(1, size)};
        ASSERT_TRUE(log.writer().end_segment(append).ok());
        EXPECT_EQ(log.state().head.load(), small_segment);
        EXPECT_EQ(log.state().ready_end.load(), 2 * small_segment);
        EXPECT_EQ(log.crash_and_resume().records, records);
        EXPECT_FALSE(log.replay().report.broken_tail.has_value());
        // A start that came no further than this finds what the first one found.
        EXPECT_EQ(log.crash_and_resume().records, records);
        records.push_back(log.append(2, 100));
        EXPECT_EQ(log.crash_and_resume().records, records);
        ASSERT_TRUE(log.writer().discard_before(small_segment).ok());
        EXPECT_FALSE(fs::exists(log.segment(0)));
        EXPECT_EQ(log.replay(small_segment).records, std::vector<ReadRecord>{records[1]});
    }
}

// What was made ready of it for a log that grew fast is given back.
TEST(LogResume, TheSegmentAfterAnEndedOneIsSmall) {
    constexpr std::uint64_t segment_bytes = 1 << 20;
    MutexOfNobody append;
    LogUnderTest log(segment_bytes);
    const std::unique_ptr<log::Writer> other = log.make_writer();
    std::vector<ReadRecord> records{log.append(1, 100'000)};
    ASSERT_TRUE(log.writer().prepare(segment_bytes).ok());
    ASSERT_EQ(log.state().ready_end.load(), 2 * segment_bytes);
    ASSERT_TRUE(log.writer().end_segment(append, 16384).ok());
    EXPECT_EQ(fs::file_size(log.segment(1)), 16384u);
    EXPECT_EQ(log.state().ready_end.load(), segment_bytes + 16384);
    const Payload payload = make_payload(2, 50);
    const log::Draft draft(log::RecordType::insert, 1002, payload);
    ASSERT_TRUE(other->fits(draft).value());
    const log::Position end = other->append(draft, 2);
    records.push_back({log::RecordType::insert, 2, 1002, payload, end - draft.record_bytes()});
    records.push_back(log.append(3, 100'000));
    EXPECT_EQ(log.crash_and_resume().records, records);
}

}  // namespace
}  // namespace dvec::test
