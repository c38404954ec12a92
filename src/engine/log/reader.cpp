// Replay. One segment at a time is read into memory (not mapped: an unreadable block must become a
// Status, not a signal). Where no valid record begins, the reader looks for the next one at every
// aligned place of the rest of the log. If it finds one, the place is damaged; if not, it is the
// end of the log.
//
// Why the search cannot find a wrong record: the CRC binds a record to its position and to its log,
// so among all bytes only those written for exactly this place pass. Those are (a) records the log
// still holds and (b) records from before an earlier crash that lie behind the place where
// appending went on. There are none of (b), because appending goes on behind the last valid record
// of the whole log, not behind the last one before some damage; what lies behind it was searched
// and held no valid record, and is zeroed (durably, see Writer::resume) before the first append.
//
// The search is linear in the bytes searched, apart from CRCs of places that look like a header.
#include "engine/log/reader.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "engine/base/checksum.hpp"

namespace dvec::log {

namespace {

enum class Finding : std::uint8_t {
    record,
    unwritten,  // what a killed writer leaves behind the last record
    broken
};

struct Inspection {
    Finding finding;
    const char *reason;   // unless finding is record
    RecordHeader header;  // if finding is record
};

// The bytes of one segment, and whether a valid record begins at a given offset of it.
class SegmentImage {
  public:
    SegmentImage(base::FileSystem &file_system, const Geometry &geometry)
        : file_system_(file_system),
          geometry_(geometry),
          bytes_(std::make_unique_for_overwrite<std::byte[]>(geometry.segment_bytes)) {}

    // A file that is missing or too short is no error here: bytes that are not there are not valid.
    base::Status load(std::uint64_t segment) {
        if (loaded_ && segment == segment_)
            return {};
        loaded_ = false;
        segment_ = segment;
        size_ = 0;
        missing_ = false;
        auto file = file_system_.open(geometry_.segment_path(segment), base::OpenMode::read_only);
        if (file.status().code() == base::Code::not_found) {
            missing_ = true;
            loaded_ = true;
            return {};
        }
        DVEC_TRY(file);
        auto size = file.value()->size();
        DVEC_TRY(size);
        size_ = std::min(size.value(), geometry_.segment_bytes);
        DVEC_TRY(file.value()->read(0, bytes_.get(), size_));
        loaded_ = true;
        return {};
    }

    bool missing() const noexcept { return missing_; }

    Inspection inspect(std::uint64_t offset) const noexcept {
        // A segment that was never made is the regular end of a log, but only if its beginning is
        // asked for.
        if (missing_)
            return refuse(offset == 0 ? Finding::unwritten : Finding::broken,
                          "the segment file is missing");
        RecordHeader header;
        if (offset + sizeof(header.magic) > size_)
            return refuse(Finding::broken, "the segment file is too short");
        std::memcpy(&header.magic, bytes_.get() + offset, sizeof(header.magic));
        if (header.magic == 0)
            return refuse(Finding::unwritten, "no record begins here");
        if (offset + sizeof(header) > size_)
            return refuse(Finding::broken, "the segment file is too short");
        std::memcpy(&header, bytes_.get() + offset, sizeof(header));
        if (header.magic != record_magic)
            return refuse(Finding::broken, "the magic number is wrong");
        if (header.segment != segment_)
            return refuse(Finding::broken, "the record belongs to another segment");
        if (header.length > max_payload_bytes ||
            offset + record_bytes(header.length) > geometry_.segment_bytes)
            return refuse(Finding::broken, "the record length is impossible");
        if (offset + record_bytes(header.length) > size_)
            return refuse(Finding::broken, "the segment file is too short");
        const std::uint32_t payload_crc =
            base::checksum(0, bytes_.get() + offset + sizeof(header), header.length);
        const Position position = geometry_.start_of(segment_) + offset;
        if (header.crc != record_crc(payload_crc, header, position, geometry_.identity))
            return refuse(Finding::broken, "the checksum does not match");
        return {Finding::record, nullptr, header};
    }

    // The offset of the first valid record at or behind `offset`.
    std::optional<std::uint64_t> find_record(std::uint64_t offset) const noexcept {
        for (; offset + sizeof(RecordHeader) <= size_; offset += record_alignment) {
            std::uint32_t magic;
            std::memcpy(&magic, bytes_.get() + offset, sizeof(magic));
            if (magic == record_magic && inspect(offset).finding == Finding::record)
                return offset;
        }
        return std::nullopt;
    }

    std::span<const std::byte> payload(std::uint64_t offset, std::uint32_t length) const noexcept {
        return {bytes_.get() + offset + sizeof(RecordHeader), length};
    }

  private:
    static Inspection refuse(Finding finding, const char *reason) noexcept {
        return {finding, reason, {}};
    }

    base::FileSystem &file_system_;
    const Geometry &geometry_;
    std::unique_ptr<std::byte[]> bytes_;
    std::uint64_t segment_ = 0;
    std::uint64_t size_ = 0;
    bool loaded_ = false;
    bool missing_ = false;
};

class Replay {
  public:
    Replay(base::FileSystem &file_system, const Geometry &geometry, const Apply &apply)
        : file_system_(file_system),
          geometry_(geometry),
          apply_(apply),
          image_(file_system, geometry) {}

    base::Result<ReplayReport> run(Position from) {
        auto segments = list_segments(file_system_, geometry_);
        DVEC_TRY(segments);
        segments_ = std::move(segments).value();
        report_.first = geometry_.start_of(geometry_.segment_of(from));
        report_.end = from;
        for (;;) {
            DVEC_TRY(deliver_run());
            const Position gap = next_;
            DVEC_TRY(image_.load(geometry_.segment_of(gap)));
            const Inspection inspection = image_.inspect(geometry_.offset_of(gap));
            auto found = find_record(gap + record_alignment);
            DVEC_TRY(found);
            if (!found.value()) {
                if (inspection.finding == Finding::broken)
                    report_.broken_tail = part_of_segment(gap, inspection.reason);
                // The writer ends a segment only when the next one is there.
                else if (segment_missing_at(gap) && after_segment_end_)
                    report_.broken_tail = part_of_segment(gap, "the segment file is missing");
                return std::move(report_);
            }
            note_damage(gap, *found.value(), inspection.reason);
            report_.end = *found.value();
        }
    }

  private:
    // Delivers the unbroken run of records that begins at report_.end and moves it behind them.
    // next_ is then where the next record was expected.
    base::Status deliver_run() {
        for (;;) {
            next_ = geometry_.place(report_.end, sizeof(RecordHeader));
            DVEC_TRY(image_.load(geometry_.segment_of(next_)));
            const std::uint64_t offset = geometry_.offset_of(next_);
            const Inspection inspection = image_.inspect(offset);
            if (inspection.finding != Finding::record)
                return {};
            const RecordHeader &header = inspection.header;
            if (static_cast<RecordType>(header.type) == RecordType::segment_end) {
                report_.end = geometry_.start_of(geometry_.segment_of(next_) + 1);
                after_segment_end_ = true;
                continue;
            }
            DVEC_TRY(deliver(header, offset));
            after_segment_end_ = false;
            report_.end = next_ + record_bytes(header.length);
        }
    }

    base::Status deliver(const RecordHeader &header, std::uint64_t offset) {
        const auto type = static_cast<RecordType>(header.type);
        if (type != RecordType::insert && type != RecordType::remove)
            return {base::Code::unsupported, "unknown record type " + std::to_string(header.type) +
                                                 " at offset " + std::to_string(offset) +
                                                 " of log segment \"" +
                                                 geometry_.segment_path(header.segment) + "\""};
        DVEC_TRY(apply_({.type = type,
                         .node = header.node,
                         .lsn = header.lsn,
                         .payload = image_.payload(offset, header.length),
                         .position = next_}));
        ++report_.records;
        report_.max_lsn = std::max(report_.max_lsn, header.lsn);
        return {};
    }

    base::Result<std::optional<Position>> find_record(Position from) {
        const std::uint64_t from_segment = geometry_.segment_of(from);
        for (const std::uint32_t segment : segments_) {
            if (segment < from_segment)
                continue;
            DVEC_TRY(image_.load(segment));
            const std::uint64_t begin = segment == from_segment ? geometry_.offset_of(from) : 0;
            if (const auto offset = image_.find_record(begin))
                return std::optional<Position>(geometry_.start_of(segment) + *offset);
        }
        return std::optional<Position>();
    }

    // Reports [from, to) segment by segment; missing segments in a row are reported as one, since a
    // stray file may be far away.
    void note_damage(Position from, Position to, const char *reason) {
        while (from < to) {
            const std::uint64_t segment = geometry_.segment_of(from);
            const auto present = std::lower_bound(segments_.begin(), segments_.end(), segment);
            const bool missing = present == segments_.end() || *present != segment;
            Position stop = std::min(to, geometry_.start_of(segment + 1));
            if (missing && present != segments_.end())
                stop = std::min(to, geometry_.start_of(*present));
            report_.damage.push_back({.file = geometry_.segment_path(segment),
                                      .offset = geometry_.offset_of(from),
                                      .bytes = stop - from,
                                      .reason = missing ? "the segment file is missing" : reason});
            from = stop;
            reason = "no valid record before the next one found";
        }
    }

    bool segment_missing_at(Position position) const {
        return !std::binary_search(segments_.begin(), segments_.end(),
                                   static_cast<std::uint32_t>(geometry_.segment_of(position)));
    }

    Damage part_of_segment(Position from, const char *reason) const {
        const std::uint64_t offset = geometry_.offset_of(from);
        return {.file = geometry_.segment_path(geometry_.segment_of(from)),
                .offset = offset,
                .bytes = geometry_.segment_bytes - offset,
                .reason = reason};
    }

    base::FileSystem &file_system_;
    const Geometry &geometry_;
    const Apply &apply_;
    SegmentImage image_;
    std::vector<std::uint32_t> segments_;
    ReplayReport report_;
    Position next_ = 0;
    bool after_segment_end_ = false;  // the latest record says that the next segment goes on
};

}  // namespace

base::Result<ReplayReport> replay(base::FileSystem &file_system, const Geometry &geometry,
                                  Position from, const Apply &apply) {
    return base::guarded([&]() -> base::Result<ReplayReport> {
        DVEC_TRY(validate(geometry));
        if (from % record_alignment != 0 || geometry.segment_of(from) > max_segment_number + 1)
            return base::Status(base::Code::invalid_argument,
                                "no log record can be at position " + std::to_string(from));
        return Replay(file_system, geometry, apply).run(from);
    });
}

base::Result<ReplayReport> replay(base::FileSystem &file_system, const std::string &directory,
                                  std::uint64_t segment_bytes, Position from, const Apply &apply) {
    return base::guarded([&] {
        return replay(file_system, Geometry{.directory = directory, .segment_bytes = segment_bytes},
                      from, apply);
    });
}

}  // namespace dvec::log
