// Appends records to the log through mappings of its segments. Many processes append, each with its
// own Writer; they share a SharedState and one append lock, which the caller holds around fits()
// and append(): appending is one copy of the record's bytes, and only the record being copied can
// be left unfinished when its writer dies. If the lock and the shared state survive such a death,
// the next append overwrites what was unfinished.
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

// A record on its way into the log: what does not depend on its place, prepared outside the append
// lock. The payload comes in two parts, so that a small fixed part and a vector need no joint
// buffer; both must stay alive until append() returned. A payload over the maximum is refused by
// Writer::fits.
class Draft {
  public:
    Draft(RecordType type, std::uint64_t lsn, std::span<const std::byte> first,
          std::span<const std::byte> second = {}) noexcept;

    std::size_t record_bytes() const noexcept;  // in a segment, header and padding included

  private:
    friend class Writer;

    std::size_t payload_bytes() const noexcept { return first_.size() + second_.size(); }

    RecordType type_;
    std::uint64_t lsn_;
    std::span<const std::byte> first_;
    std::span<const std::byte> second_;
    std::uint32_t payload_crc_ = 0;
};

// Threads may share one Writer where the locks below are kept; sync() needs
// one of its own.
class Writer {
  public:
    // Opens a log for appending (its segments are found by SharedState's positions as needed).
    // `state` and `sync_lock`, which the callers of sync() hold among all processes, must outlive
    // the writer. Three beginnings: `state` is in use by other processes; or it is all zero and the
    // folder holds no log, and prepare() makes the first segment; or it is to be set by begin() or
    // resume().
    static base::Result<std::unique_ptr<Writer>> open(base::FileSystem &file_system,
                                                      Geometry geometry, SharedState &state,
                                                      base::Mutex &sync_lock);

    // Begins an empty log at `start`, rounded up to a segment's beginning: removes every segment in
    // the folder, whoever wrote it, and sets the whole state. Nobody else may be using the log's
    // files; writers that other processes opened before stay usable afterwards.
    base::Status begin(Position start = 0);

    // Makes a replayed log ready for appending behind `report.end`, and everything before it
    // durable: cuts the rest of that segment off, removes the segments behind it and those before
    // `report.first`, syncs, and sets the state. When replay's caller dropped records, it lowers
    // `report.max_lsn` before. Same conditions as begin(). Refused after a failed sync: what was
    // lost then does not come back.
    base::Status resume(const ReplayReport &report);

    // Makes sure that a record, or several without loss in between, of `bytes` altogether fit
    // behind the head; where they do not, makes `ahead` bytes behind it ready (of which a full disk
    // may leave some out), in this segment's file and the next ones (zero-filled, durable, so that
    // a later sync has only data to write). Not under the append lock, but serialised by the caller
    // (one process at a time). Takes the sync lock while it syncs a file that has records.
    // Code::no_space changes nothing; after any other failure of the file system the index should
    // be given up. Code::limit_exceeded for more than a segment, and when segment numbers have run
    // out.
    base::Status prepare(std::size_t bytes, std::uint64_t ahead = least_ahead);

    // Ends the segment of the head, so that the next checkpoint may let go of its file: what comes
    // is written to the next segment. Serialised as prepare() is; takes `append` for a moment.
    // Leaves the log as it is when others append so fast that the moment is not found.
    base::Status end_segment(base::Mutex &append, std::uint64_t ahead = least_ahead);

    static constexpr std::uint64_t least_ahead = std::uint64_t{16} << 10;

    // Under the append lock. Whether the draft fits without prepare(), counting the loss at the end
    // of a segment; maps the segment it would go to, which is the only thing that can fail in
    // appending. Code::limit_exceeded for a payload over the maximum, or over what a segment holds.
    base::Result<bool> fits(const Draft &draft);

    // Under the append lock, after fits() said so under the same hold of it. Cannot fail, allocates
    // nothing. Returns the position behind the record; SharedState::head and max_lsn are updated.
    Position append(const Draft &draft, std::uint32_t node) noexcept;

    // Makes everything before the head that this call read durable and advances `synced` to it
    // (never backwards). One at a time among all processes, which the caller sees to: the kernel
    // tells of a failed write once, and whoever opens the segment after that and before the failure
    // is noted here would be told of success. After a failed sync the kernel may have dropped the
    // pages, so every later call, by anybody, fails too: the index is to be given up for a rebuild.
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
