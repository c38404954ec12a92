// Appends records to the log through mappings of its segments. Many processes append, each with its
// own Writer; they share a SharedState and one append lock, which the caller holds around fits()
// and append(). Appending is one copy of the record's bytes, so when a writer dies, only the record
// that it was copying can be left unfinished. If the lock and the shared state survive the writer,
// the next append overwrites the unfinished record.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "engine/base/file.hpp"
#include "engine/base/mutex.hpp"
#include "engine/base/status.hpp"
#include "engine/log/format.hpp"
#include "engine/log/reader.hpp"
#include "engine/log/segment.hpp"
#include "engine/log/shared_state.hpp"

namespace dvec::log {

// A record that is to be appended: everything that does not depend on its place, prepared outside
// the append lock. The payload comes in two parts, so that a small fixed part and a vector need no
// common buffer; both must stay alive until append() has returned. A payload over the maximum is
// refused by Writer::fits.
class Draft {
  public:
    Draft(RecordType type, std::uint64_t lsn, std::span<const std::byte> first,
          std::span<const std::byte> second = {}) noexcept;
    // For a caller that knows the payload's checksum (base::checksum, of both parts).
    Draft(RecordType type, std::uint64_t lsn, std::span<const std::byte> first,
          std::span<const std::byte> second, std::uint32_t payload_checksum) noexcept;

    std::size_t record_bytes() const noexcept;  // in a segment, header and padding included

  private:
    friend class Writer;

    std::size_t payload_bytes() const noexcept { return first_.size() + second_.size(); }

    RecordType type_;
    std::uint64_t lsn_;
    std::span<const std::byte> first_;
    std::span<const std::byte> second_;
    std::uint32_t payload_crc_;
};

// Threads may share one Writer if they keep to the locks below; sync() needs a Writer of its own.
class Writer {
  public:
    // Opens a log for appending (its segments are found by SharedState's positions as needed).
    // `state` and `sync_lock` must outlive the writer; callers of sync() hold `sync_lock`, which
    // all processes share. There are three ways to begin: `state` is in use by other processes; or
    // `state` is all zero and the folder holds no log, and prepare() makes the first segment; or
    // begin() or resume() is to set `state`.
    static base::Result<std::unique_ptr<Writer>> open(base::FileSystem &file_system,
                                                      Geometry geometry, SharedState &state,
                                                      base::Mutex &sync_lock);

    // Begins an empty log at `start`, rounded up to a segment's beginning: removes every segment in
    // the folder, whoever wrote it, and sets the whole state. Nobody else may be using the log's
    // files meanwhile; writers that other processes have opened before can be used again
    // afterwards.
    base::Status begin(Position start = 0);

    // Makes a replayed log ready for appending behind `report.end`, and everything before it
    // durable: cuts the rest of that segment off, removes the segments behind it and those before
    // `report.first`, syncs, and sets the state. A caller of replay that dropped records lowers
    // `report.max_lsn` before. Same conditions as begin(). Refused after a failed sync: what was
    // lost then does not come back.
    base::Status resume(const ReplayReport &report);

    // Makes sure that a record of `bytes` fits behind the head, or several records of `bytes`
    // altogether that follow each other without a gap. Where they do not fit, makes `ahead` bytes
    // behind the head ready, in this segment's file and the next ones: filled with zeros and
    // durable, so that a later sync has only data to write. On a full disk fewer bytes than `ahead`
    // may be made ready. Not to be called under the append lock, but serialised by the caller (one
    // process at a time). Takes the sync lock while it syncs a file that has records.
    // Code::no_space changes nothing; after any other failure of the file system the index should
    // be given up. Code::limit_exceeded for more than a segment, and when segment numbers have run
    // out.
    base::Status prepare(std::size_t bytes, std::uint64_t ahead = least_ahead);

    // Ends the segment of the head, so that the next checkpoint can remove its file: later records
    // are written to the next segment. Serialised as prepare() is; takes `append` for a moment.
    // Leaves the log as it is when others append so fast that this cannot be done in between.
    base::Status end_segment(base::Mutex &append, std::uint64_t ahead = least_ahead);

    static constexpr std::uint64_t least_ahead = std::uint64_t{16} << 10;

    // Under the append lock. Whether the draft fits without prepare(), including the bytes lost at
    // the end of a segment. Maps the segment that it would go to, which is the only step of
    // appending that can fail. Code::limit_exceeded for a payload over the maximum, or over what a
    // segment holds.
    base::Result<bool> fits(const Draft &draft);

    // Under the append lock, after fits() returned true without the lock being released since.
    // Cannot fail, allocates nothing. Returns the position behind the record; SharedState::head and
    // max_lsn are updated.
    Position append(const Draft &draft, std::uint32_t node) noexcept;

    // Makes everything durable that lies before the head, as this call reads it, and advances
    // `synced` to that head (never backwards). The caller sees to it that only one process at a
    // time is in here: the kernel reports a failed write once, and a process that opens the segment
    // after that report, and before the failure is noted in the shared state, would be told that
    // its sync succeeded. After a failed sync the kernel may have dropped the pages, so every later
    // call, by any process, fails too: the index is to be given up for a rebuild.
    base::Status sync();

    // Says that the records before `position` are needed no more, because what they say is durable
    // elsewhere: they count as synced from now on, and the segments that hold no other records are
    // removed. Code::invalid_argument for a position beyond the head.
    base::Status discard_before(Position position);

  private:
    struct MappedSegment {
        std::uint64_t number = no_segment;
        base::Mapping mapping;
    };
    static constexpr std::uint64_t no_segment = ~std::uint64_t{0};

    Writer(base::FileSystem &file_system, Geometry geometry, SharedState &state,
           base::Mutex &sync_lock) noexcept;

    base::Status make_ready(Position needed, Position wished);
    base::Status extend_to(Position end);
    bool withdraw_next(base::Mutex &append, Position next);
    base::Status leave_segment(Position next, Position ready, const Draft &end);
    base::Status map_segment(std::uint64_t number);
    std::byte *address(Position position) const noexcept;
    void write_record(Position position, const Draft &draft, std::uint32_t node) noexcept;

    base::Status clear_behind(Position end);
    template <class Kept>  // of a segment's first position
    base::Status remove_segments_unless(const Kept &kept);
    base::Status sync_longer_file(base::File &file);
    base::Status sync_segment(std::uint64_t segment);
    base::Status sync_file(base::File &file);
    base::Status sync_all_segments();
    void set_state(Position first, Position end, std::uint64_t max_lsn) noexcept;

    base::FileSystem &file_system_;
    const Geometry geometry_;
    SharedState &state_;
    base::Mutex &sync_lock_;
    // The segment of the head and the one after it, each at the index of its number's lowest bit.
    std::array<MappedSegment, 2> mapped_;
    std::uint32_t seen_replaced_;
};

}  // namespace dvec::log
