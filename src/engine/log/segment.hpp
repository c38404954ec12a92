// One log as files: which segment a position lies in, what the segment is called, how a segment is
// created so that neither a crash nor a full disk leaves half of one, and how it is removed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/file.hpp"
#include "engine/base/status.hpp"
#include "engine/log/format.hpp"

namespace dvec::log {

struct Geometry {
    std::string directory;
    // A multiple of segment_bytes_unit, up to max_segment_bytes. No record can be longer than a
    // segment: below 256 kB that bounds payloads more tightly than max_payload_bytes.
    std::uint64_t segment_bytes = std::uint64_t{16} << 20;
    // A number that belongs to this log alone (the index's random identity): records sealed with
    // another number are invalid.
    std::uint64_t identity = 0;

    std::uint64_t segment_of(Position position) const noexcept { return position / segment_bytes; }
    std::uint64_t offset_of(Position position) const noexcept { return position % segment_bytes; }
    Position start_of(std::uint64_t segment) const noexcept { return segment * segment_bytes; }

    // Where a record of `bytes` goes when `head` is the end of the log: to `head`, or to the
    // beginning of the next segment when the rest of this one is too short. `bytes` is at most
    // segment_bytes.
    Position place(Position head, std::uint64_t bytes) const noexcept {
        const std::uint64_t rest = segment_bytes - offset_of(head);
        return bytes <= rest ? head : head + rest;
    }

    // How far the files must reach for a record that ends at `end`: the magic behind it is stored
    // too, as zero, unless the segment ends there.
    Position reach(Position end) const noexcept {
        return offset_of(end) == 0 ? end : end + record_alignment;
    }

    // The size of a segment's file that has at least the segment's first `bytes`.
    std::uint64_t file_bytes(std::uint64_t bytes) const noexcept {
        const std::uint64_t units = (bytes + segment_bytes_unit - 1) / segment_bytes_unit;
        return units * segment_bytes_unit < segment_bytes ? units * segment_bytes_unit
                                                          : segment_bytes;
    }

    std::string segment_path(std::uint64_t segment) const;
};

// Code::invalid_argument when the segment size is not one a log can have.
base::Status validate(const Geometry &geometry);

// The number in a segment's file name ("log.17"); nothing for any other name, such as that of a
// segment that was never finished.
std::optional<std::uint32_t> segment_number(std::string_view file_name) noexcept;

// The segments in the log's directory, ascending.
base::Result<std::vector<std::uint32_t>> list_segments(base::FileSystem &file_system,
                                                       const Geometry &geometry);

// Makes a segment whose first `bytes` are there and zero, and are durable together with its name;
// replaces a file of that name. The file gets the name only when it is complete. On failure what
// was written is removed again.
base::Status create_segment(base::FileSystem &file_system, const Geometry &geometry,
                            std::uint64_t segment, std::uint64_t bytes);

// Extends a segment's file, of which `from` bytes are in use, to `bytes`; the new bytes are zero.
// Not durable by itself. On failure the file has `from` bytes again. Code::corrupt when it had
// fewer than that.
base::Status extend_segment(base::File &file, std::uint64_t from, std::uint64_t bytes);

// Writes zeros over [begin, end) of a file, extending it when it is shorter.
base::Status write_zeros(base::File &file, std::uint64_t begin, std::uint64_t end);

// Removes a segment and gives its space back even while other processes map it (they must not touch
// it any more). Succeeds when there is none. Not durable by itself: a segment may come back after a
// power loss.
base::Status remove_segment(base::FileSystem &file_system, const Geometry &geometry,
                            std::uint64_t segment);

// Removes what creating a segment left behind when it was interrupted.
base::Status remove_unfinished_segment(base::FileSystem &file_system, const Geometry &geometry);

// The CRC of a record whose payload has the checksum `payload_crc`. Uses every field of `header`
// but magic and crc.
std::uint32_t record_crc(std::uint32_t payload_crc, const RecordHeader &header, Position position,
                         std::uint64_t identity) noexcept;

}  // namespace dvec::log
