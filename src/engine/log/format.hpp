// The bytes of the sidecar log: a sequence of segment files `log.N`, each full of records. A
// position in the log is one number that never goes back: segment number * segment bytes + offset
// in the segment. A record never crosses a segment's end.
//
// A segment's file may be shorter than the segment: space is made ready in steps, so that an index
// of few rows has a small log. There are always bytes behind the last record, unless it ends where
// the segment does, and the first of them are zero. So a file that was cut off can be recognised.
//
// Record, little-endian, 8-byte aligned:
//
//     magic · payload length · CRC-32C · segment number · type · node id · PostgreSQL LSN ·
//     payload · padding
//
// The CRC is computed over the payload, then over a RecordSeal. The payload is long and comes
// first, because it is known before the append lock is taken; the rest is known only under the
// lock. Besides the header's fields the seal holds two things that are not stored at all, the
// record's position and the log's identity. Therefore bytes are a record only at the place they
// were written for: the image of a record inside a vector, in a renamed or recycled segment or in
// another index's log is no valid record. Padding is zero and not under the CRC.
//
// The magic is stored last (release), so that a writer killed in the middle leaves no record there;
// before that, the four bytes where the next magic will stand are set to zero. So after the death
// of a process (the page cache lives) the bytes behind the last record begin with a zero magic, and
// anything else there was caused by a power loss or by damage.
//
// The end of a segment. When the next record does not fit into the rest of a segment, or a
// checkpoint has made what is in the segment unnecessary, it goes to the beginning of the next one,
// and
//   - a rest that can hold a header begins with a record of type `segment_end` (no payload, node 0,
//     LSN 0);
//   - a shorter rest is skipped by reader and writer alike, whatever it contains.
// So where a header has room and a reader finds neither a record nor a segment_end, it is at the
// end of the log or at damage, never at a regular change of segments.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace dvec::log {

static_assert(std::endian::native == std::endian::little,
              "the log is written in native byte order");

using Position = std::uint64_t;

inline constexpr std::uint32_t record_magic = 0xDEADBEEF;
inline constexpr std::size_t record_alignment = 8;

// The largest payload that the writer accepts and the reader believes: a float vector of 16,000
// dimensions with its TID and keys, rounded up generously.
inline constexpr std::uint32_t max_payload_bytes = 128 * 1024;

// Segment sizes are multiples of a page and of the record alignment. A reader holds one segment in
// memory.
inline constexpr std::uint64_t segment_bytes_unit = 4096;
inline constexpr std::uint64_t max_segment_bytes = std::uint64_t{1} << 30;

// Segment numbers are 32 bits wide on disk; the log ends for good behind the last one.
inline constexpr std::uint64_t max_segment_number = 0xFFFFFFFF;

enum class RecordType : std::uint16_t {
    insert = 1,            // payload: TID, keys, vector
    remove = 2,            // no payload: the node is deleted
    segment_end = 0xFFFF,  // the log goes on in the next segment; of no meaning outside this layer
};

struct RecordHeader {
    std::uint32_t magic;
    std::uint32_t length;  // payload bytes, without padding
    std::uint32_t crc;
    std::uint32_t segment;
    std::uint16_t type;
    std::uint16_t reserved;  // 0
    std::uint32_t node;
    std::uint64_t lsn;
};
static_assert(sizeof(RecordHeader) == 32);
static_assert(offsetof(RecordHeader, lsn) == 24);

// What the CRC covers behind the payload. Computed, never stored.
struct RecordSeal {
    std::uint32_t length;
    std::uint32_t segment;
    std::uint16_t type;
    std::uint16_t reserved;
    std::uint32_t node;
    std::uint64_t lsn;
    Position position;       // of the header
    std::uint64_t identity;  // of the log
};
static_assert(sizeof(RecordSeal) == 40);
static_assert(std::has_unique_object_representations_v<RecordSeal>, "padding would enter the CRC");

// Bytes a record takes in a segment.
constexpr std::size_t record_bytes(std::size_t payload_bytes) {
    return (sizeof(RecordHeader) + payload_bytes + record_alignment - 1) / record_alignment *
           record_alignment;
}

}  // namespace dvec::log
