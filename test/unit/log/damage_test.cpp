// What replay makes of bytes that are not what was written: cut off, flipped, moved, missing or
// forged. The rule tested throughout: never a wrong record, every undamaged record, and no loss in
// silence.
#include <algorithm>
#include <cstring>
#include <filesystem>

#include "engine/base/checksum.hpp"
#include "log_fixture.hpp"

namespace dvec::test {
namespace {

namespace fs = std::filesystem;
using log::RecordHeader;

// Records over three small segments, of sizes that leave padding of every length and both kinds of
// rest at a segment's end: one of 48 bytes (marked by a segment_end), one of 24 (too short for it).
std::vector<ReadRecord> fill_three_segments(LogUnderTest &log) {
    std::vector<ReadRecord> records;
    std::uint32_t node = 0;
    const auto append = [&](std::size_t size) { records.push_back(log.append(node++, size)); };
    for (const std::size_t rest : {48u, 24u}) {
        for (const std::size_t size : {100u, 0u, 1u, 2u, 3u, 517u, 1030u, 7u})
            append(size);
        const std::uint64_t left = small_segment - log.state().head % small_segment;
        append(left - rest - sizeof(RecordHeader));
        EXPECT_EQ(log.state().head % small_segment, small_segment - rest);
    }
    for (const std::size_t size : {60u, 4u, 300u, 5u, 6u})
        append(size);
    EXPECT_EQ(log.geometry().segment_of(log.state().head), 2u);
    return records;
}

std::uint64_t end_of(const ReadRecord &record) {
    return record.position + log::record_bytes(record.payload.size());
}

// The record whose checked bytes (not its padding) include the position.
const ReadRecord *record_at(const std::vector<ReadRecord> &records, log::Position position) {
    for (const ReadRecord &record : records)
        if (position >= record.position &&
            position < record.position + sizeof(RecordHeader) + record.payload.size())
            return &record;
    return nullptr;
}

std::vector<ReadRecord> without(std::vector<ReadRecord> records, const ReadRecord *lost) {
    if (lost != nullptr)
        std::erase(records, *lost);
    return records;
}

// A header sealed the way the writer seals, for whatever place and log.
std::vector<std::byte> forge(log::Position position, std::uint64_t segment_bytes,
                             std::uint64_t identity, std::span<const std::byte> payload) {
    RecordHeader header{.magic = log::record_magic,
                        .length = static_cast<std::uint32_t>(payload.size()),
                        .crc = 0,
                        .segment = static_cast<std::uint32_t>(position / segment_bytes),
                        .type = static_cast<std::uint16_t>(log::RecordType::insert),
                        .reserved = 0,
                        .node = 666,
                        .lsn = 666};
    header.crc = log::record_crc(base::checksum(0, payload.data(), payload.size()), header,
                                 position, identity);
    std::vector<std::byte> image(log::record_bytes(payload.size()));
    std::memcpy(image.data(), &header, sizeof(header));
    std::memcpy(image.data() + sizeof(header), payload.data(), payload.size());
    return image;
}

TEST(LogDamage, LastSegmentCutAtEveryByteYieldsThePrefix) {
    LogUnderTest log;
    const std::vector<ReadRecord> records = fill_three_segments(log);
    const std::string path = log.segment(2);
    for (std::uint64_t size = small_segment; size-- > 0;) {
        fs::resize_file(path, size);
        std::vector<ReadRecord> expected;
        for (const ReadRecord &record : records)
            if (end_of(record) <= 2 * small_segment + size)
                expected.push_back(record);
        const ReplayResult result = log.replay();
        ASSERT_TRUE(result.status.ok());
        ASSERT_EQ(result.records, expected) << size;
        ASSERT_TRUE(result.report.damage.empty()) << size;
        const bool cut_to_the_quick = 2 * small_segment + size < log.state().head.load() + 4;
        ASSERT_EQ(result.report.broken_tail.has_value(), cut_to_the_quick)
            << size << ": behind the last record there are zeros in every segment";
    }
    fs::remove(path);
    const ReplayResult result = log.replay();
    EXPECT_TRUE(result.report.damage.empty());
    EXPECT_FALSE(result.report.broken_tail.has_value()) << "a segment that was never made";
}

TEST(LogDamage, FirstSegmentCutAtEveryByteLosesItsRestOnly) {
    LogUnderTest log;
    const std::vector<ReadRecord> records = fill_three_segments(log);
    const std::uint64_t used = small_segment - 48 + sizeof(RecordHeader);
    for (std::uint64_t size = small_segment; size-- > 0;) {
        fs::resize_file(log.segment(0), size);
        std::vector<ReadRecord> expected;
        for (const ReadRecord &record : records)
            if (record.position >= small_segment || end_of(record) <= size)
                expected.push_back(record);
        const ReplayResult result = log.replay();
        ASSERT_TRUE(result.status.ok());
        ASSERT_EQ(result.records, expected) << size;
        ASSERT_EQ(result.report.damage.empty(), size >= used) << size;
        ASSERT_FALSE(result.report.broken_tail.has_value());
        ASSERT_EQ(result.report.end, log.state().head.load());
    }
}

class EveryByteFlipped : public testing::TestWithParam<int> {};

TEST_P(EveryByteFlipped, LosesAtMostTheRecordHitAndSaysSo) {
    LogUnderTest log;
    const std::vector<ReadRecord> records = fill_three_segments(log);
    const log::Position head = log.state().head;
    for (std::uint64_t segment = 0; segment < 3; ++segment) {
        const std::string path = log.segment(segment);
        for (std::uint64_t offset = 0; offset < small_segment; ++offset) {
            SCOPED_TRACE(path + " offset " + std::to_string(offset));
            const int mask = GetParam() != 0 ? GetParam() : 1 << offset % 8;
            flip_bits(path, offset, mask);
            const log::Position position = segment * small_segment + offset;
            const ReadRecord *hit = record_at(records, position);
            const ReplayResult result = log.replay();
            flip_bits(path, offset, mask);
            ASSERT_TRUE(result.status.ok());
            ASSERT_EQ(result.records, without(records, hit));

            const bool segment_end_hit = position >= small_segment - 48 &&
                                         position < small_segment - 48 + sizeof(RecordHeader);
            const bool last_hit = hit == &records.back();
            const bool behind_head_hit = position >= head && position < head + 4;
            ASSERT_EQ(!result.report.damage.empty(),
                      (hit != nullptr && !last_hit) || segment_end_hit);
            ASSERT_EQ(result.report.broken_tail.has_value(), last_hit || behind_head_hit);
            ASSERT_EQ(result.report.end, last_hit ? records.back().position : head);
            if (!result.report.damage.empty()) {
                ASSERT_EQ(result.report.damage.size(), 1u);
                const log::Damage &damage = result.report.damage.front();
                ASSERT_EQ(damage.file, path);
                ASSERT_LE(damage.offset, offset);
                ASSERT_GT(damage.offset + damage.bytes, offset);
                ASSERT_FALSE(damage.reason.empty());
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Masks, EveryByteFlipped, testing::Values(0, 0xFF));

// After recovery from any damage the log goes on: nothing that was found is lost, nothing comes
// back.
TEST(LogDamage, AppendingGoesOnBehindDamage) {
    LogUnderTest master;
    const std::vector<ReadRecord> records = fill_three_segments(master);
    const log::Position head = master.state().head;
    for (log::Position position = 0; position < head; position += 29) {
        SCOPED_TRACE(position);
        LogUnderTest log;
        for (std::uint64_t segment = 0; segment < 3; ++segment) {
            std::vector<char> bytes = read_bytes(master.segment(segment));
            if (position / small_segment == segment)
                bytes[position % small_segment] ^= 0x7F;
            write_bytes(log.segment(segment), bytes);
        }
        const ReadRecord *hit = record_at(records, position);
        std::vector<ReadRecord> expected = without(records, hit);
        const ReplayResult first = log.crash_and_resume();
        ASSERT_EQ(first.records, expected);
        for (std::uint32_t node = 500; node < 512; ++node) {
            expected.push_back(log.append(node, 450));
            const ReplayResult again = log.replay();
            ASSERT_EQ(again.records, expected);
            ASSERT_EQ(again.report.damage.size(), first.report.damage.size());
            ASSERT_FALSE(again.report.broken_tail.has_value());
        }
    }
}

TEST(LogDamage, StaleSegmentHasNoRecords) {
    LogUnderTest log;
    const std::vector<ReadRecord> records = fill_three_segments(log);
    // What a segment would look like whose name, but not content, was renewed.
    fs::copy_file(log.segment(1), log.segment(3));
    ReplayResult result = log.replay();
    EXPECT_EQ(result.records, records);
    EXPECT_TRUE(result.report.damage.empty());

    fs::copy_file(log.segment(0), log.segment(1), fs::copy_options::overwrite_existing);
    result = log.replay();
    std::vector<ReadRecord> expected;
    for (const ReadRecord &record : records)
        if (record.position / small_segment != 1)
            expected.push_back(record);
    EXPECT_EQ(result.records, expected);
    ASSERT_EQ(result.report.damage.size(), 1u);
    EXPECT_EQ(result.report.damage[0].file, log.segment(1));
    EXPECT_EQ(result.report.damage[0].offset, 0u);
    EXPECT_EQ(result.report.damage[0].bytes, small_segment);
    EXPECT_EQ(result.report.damage[0].reason, "the record belongs to another segment");
}

TEST(LogDamage, AnotherLogsSegmentHasNoRecords) {
    LogUnderTest log;
    fill_three_segments(log);
    log::Geometry stranger = log.geometry();
    stranger.identity ^= 1;
    const ReplayResult result = replay_all(stranger);
    ASSERT_TRUE(result.status.ok());
    EXPECT_TRUE(result.records.empty());
    EXPECT_EQ(result.report.end, 0u);
    EXPECT_TRUE(result.report.broken_tail.has_value());
}

TEST(LogDamage, MissingSegmentInTheMiddle) {
    LogUnderTest log;
    const std::vector<ReadRecord> records = fill_three_segments(log);
    fs::remove(log.segment(1));
    const ReplayResult result = log.replay();
    std::vector<ReadRecord> expected;
    for (const ReadRecord &record : records)
        if (record.position / small_segment != 1)
            expected.push_back(record);
    EXPECT_EQ(result.records, expected);
    ASSERT_EQ(result.report.damage.size(), 1u);
    EXPECT_EQ(result.report.damage[0].file, log.segment(1));
    EXPECT_EQ(result.report.damage[0].bytes, small_segment);
    EXPECT_EQ(result.report.damage[0].reason, "the segment file is missing");
}

TEST(LogDamage, SeveralMissingSegmentsAreReportedTogether) {
    LogUnderTest log;
    std::vector<ReadRecord> records;
    for (std::uint32_t node = 0; node < 8; ++node)
        records.push_back(log.append(node, 4000));
    // The damage begins in a segment that is there, and ends in one.
    flip_bits(log.segment(2), 40, 0xFF);
    for (const std::uint64_t missing : {3u, 4u, 5u})
        fs::remove(log.segment(missing));
    const ReplayResult result = log.replay();
    EXPECT_EQ(result.records,
              (std::vector<ReadRecord>{records[0], records[1], records[6], records[7]}));
    ASSERT_EQ(result.report.damage.size(), 2u);
    EXPECT_EQ(result.report.damage[0].file, log.segment(2));
    EXPECT_EQ(result.report.damage[0].reason, "the checksum does not match");
    // The segment_end of segment 2 survived and ends the first damage; the second begins behind it.
    EXPECT_EQ(result.report.damage[1].file, log.segment(3));
    EXPECT_EQ(result.report.damage[1].bytes, 3 * small_segment);
}

TEST(LogDamage, MissingFirstSegment) {
    LogUnderTest log;
    const std::vector<ReadRecord> records = fill_three_segments(log);
    fs::remove(log.segment(0));
    const ReplayResult result = log.replay(records[3].position);
    EXPECT_EQ(result.records.size(), records.size() - 9);
    ASSERT_EQ(result.report.damage.size(), 1u);
    EXPECT_EQ(result.report.damage[0].offset, records[3].position);
}

TEST(LogDamage, EverythingMissing) {
    LogUnderTest log;
    const std::vector<ReadRecord> records = fill_three_segments(log);
    for (std::uint64_t segment = 0; segment < 3; ++segment)
        fs::remove(log.segment(segment));
    EXPECT_FALSE(log.replay(0).report.broken_tail.has_value()) << "a log that never began";
    const ReplayResult result = log.replay(records[3].position);
    EXPECT_TRUE(result.records.empty());
    EXPECT_EQ(result.report.end, records[3].position);
    ASSERT_TRUE(result.report.broken_tail.has_value());
    EXPECT_EQ(result.report.broken_tail->reason, "the segment file is missing");
}

TEST(LogDamage, JunkInTheFolderIsNotALog) {
    LogUnderTest log;
    const std::vector<ReadRecord> records = fill_three_segments(log);
    for (const char *name : {"log.new", "log.", "log.03", "log.-1", "log.4294967296", "log.3x",
                             "checkpoint", "log.99999999999999999999", "xlog.3"})
        write_bytes(log.directory().file(name), std::vector<char>(100, 'x'));
    write_bytes(log.segment(4294967295), std::vector<char>(10000, '\xEF'));
    ReplayResult result = log.replay();
    EXPECT_EQ(result.records, records);
    EXPECT_TRUE(result.report.damage.empty());
    fs::create_directory(log.segment(7));
    EXPECT_FALSE(log.replay().status.ok()) << "what cannot be read is an error, not the end";
}

// A vector may contain what looks like a record. The reader meets those bytes at record alignment
// when the record around them is broken.
TEST(LogDamage, RecordImageInsideAPayloadIsNotARecord) {
    LogUnderTest log;
    const ReadRecord original = log.append(1, 64);
    const std::vector<char> bytes = read_bytes(log.segment(0));
    Payload copy(log::record_bytes(64));
    std::memcpy(copy.data(), bytes.data(), copy.size());
    const ReadRecord carrier = log.append_payload(log::RecordType::insert, 2, copy);

    // Even one sealed for exactly its place, but without knowing the log's identity.
    const log::Position inside = log.state().head + sizeof(RecordHeader);
    const Payload forged = forge(inside, small_segment, test_identity + 1, make_payload(1, 40));
    const ReadRecord forger = log.append_payload(log::RecordType::insert, 3, forged);
    const ReadRecord last = log.append(4, 30);
    EXPECT_EQ(log.replay().records, (std::vector<ReadRecord>{original, carrier, forger, last}));

    std::vector<char> damaged = read_bytes(log.segment(0));
    damaged[carrier.position + 20] ^= 1;  // the node id
    damaged[forger.position + 20] ^= 1;
    write_bytes(log.segment(0), damaged);
    const ReplayResult result = log.replay();
    EXPECT_EQ(result.records, (std::vector<ReadRecord>{original, last}));
    ASSERT_EQ(result.report.damage.size(), 1u);
    EXPECT_EQ(result.report.damage[0].bytes, last.position - carrier.position);

    // The test itself: with the right identity the forged record is accepted.
    const Payload perfect = forge(inside, small_segment, test_identity, make_payload(1, 40));
    std::memcpy(damaged.data() + inside, perfect.data(), perfect.size());
    write_bytes(log.segment(0), damaged);
    EXPECT_EQ(log.replay().records.size(), 3u);
}

// The reader's limit is the writer's: what no writer can have written is no record, however well
// sealed.
TEST(LogDamage, OverlongRecordIsNotARecord) {
    constexpr std::uint64_t segment_bytes = 256 * 1024;
    for (const std::size_t excess : {0u, 1u}) {
        LogUnderTest log(segment_bytes);
        ASSERT_TRUE(log.writer().prepare(100).ok());
        const Payload image = forge(0, segment_bytes, test_identity,
                                    make_payload(1, log::max_payload_bytes + excess));
        std::vector<char> bytes = read_bytes(log.segment(0));
        bytes.resize(segment_bytes);
        std::memcpy(bytes.data(), image.data(), image.size());
        write_bytes(log.segment(0), bytes);
        const ReplayResult result = log.replay();
        EXPECT_EQ(result.records.size(), 1 - excess);
        EXPECT_EQ(result.report.broken_tail.has_value(), excess == 1);
    }
}

// A power loss drops some unsynced pages and keeps others. Afterwards, and after a second crash
// behind new appends, exactly what was once recovered or appended later is there.
TEST(LogDamage, LostPagesThenASecondCrash) {
    constexpr std::uint64_t page = 4096;
    constexpr std::uint64_t segment_bytes = 4 * page;
    for (std::uint32_t lost = 1; lost < 1u << 6; ++lost) {
        SCOPED_TRACE(lost);
        LogUnderTest log(segment_bytes);
        std::vector<ReadRecord> records;
        while (log.state().head < segment_bytes + 2 * page)
            records.push_back(log.append(static_cast<std::uint32_t>(records.size()), 700));
        for (std::uint32_t index = 0; index < 6; ++index) {
            if ((lost >> index & 1) == 0)
                continue;
            std::vector<char> bytes = read_bytes(log.segment(index / 4));
            std::fill_n(bytes.begin() + index % 4 * page, page, 0);
            write_bytes(log.segment(index / 4), bytes);
        }
        std::vector<ReadRecord> expected;
        for (const ReadRecord &record : records) {
            const log::Position end = record.position + sizeof(RecordHeader) + 700;
            bool whole = true;
            for (std::uint64_t index = record.position / page; index * page < end; ++index)
                whole = whole && (lost >> index & 1) == 0;
            if (whole)
                expected.push_back(record);
        }
        ASSERT_EQ(log.crash_and_resume().records, expected);
        for (std::uint32_t node = 900; node < 930; ++node)
            expected.push_back(log.append(node, 650));
        ASSERT_EQ(log.crash_and_resume().records, expected);
    }
}

}  // namespace
}  // namespace dvec::test
