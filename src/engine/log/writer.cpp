// Appending to the log, and what makes its bytes durable.
//
// What holds between appends, and also at every instant of an append for a reader that comes after
// a crash which left memory intact:
//   - everything before `head` is records, segment_end records and rests too short for a header;
//   - the four bytes at `head` are zero, or the magic of one finished record that its writer did
//     not live to acknowledge; behind them in the segment may be remains of unfinished records,
//     never a valid record (it would have to be written for exactly that position), and in later
//     segments only zeros;
//   - everything from `head` to `ready_end` is on file.
#include "engine/log/writer.hpp"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstring>
#include <mutex>
#include <utility>

#include "engine/base/checksum.hpp"

namespace dvec::log {

namespace {

void raise(std::atomic<Position> &watermark, Position position) noexcept {
    Position current = watermark.load(std::memory_order_relaxed);
    while (current < position &&
           !watermark.compare_exchange_weak(current, position, std::memory_order_release,
                                            std::memory_order_relaxed)) {
    }
}

void store_magic(std::byte *place, std::uint32_t magic) noexcept {
    std::atomic_ref<std::uint32_t>(*reinterpret_cast<std::uint32_t *>(place))
        .store(magic, std::memory_order_release);
}

// When a process is killed, the processor has finished its instructions up to some point in program
// order. So only the compiler has to be kept from moving later stores before the one just made.
void keep_store_order() noexcept { std::atomic_signal_fence(std::memory_order_seq_cst); }

}  // namespace

Draft::Draft(RecordType type, std::uint64_t lsn, std::span<const std::byte> first,
             std::span<const std::byte> second) noexcept
    : Draft(type, lsn, first, second, 0) {
    if (payload_bytes() > max_payload_bytes)
        return;
    payload_crc_ =
        base::checksum(base::checksum(0, first.data(), first.size()), second.data(), second.size());
}

Draft::Draft(RecordType type, std::uint64_t lsn, std::span<const std::byte> first,
             std::span<const std::byte> second, std::uint32_t payload_checksum) noexcept
    : type_(type), lsn_(lsn), first_(first), second_(second), payload_crc_(payload_checksum) {}

std::size_t Draft::record_bytes() const noexcept { return log::record_bytes(payload_bytes()); }

Writer::Writer(base::FileSystem &file_system, Geometry geometry, SharedState &state,
               base::Mutex &sync_lock) noexcept
    : file_system_(file_system),
      geometry_(std::move(geometry)),
      state_(state),
      sync_lock_(sync_lock),
      seen_replaced_(state.replaced.load(std::memory_order_acquire)) {}

base::Result<std::unique_ptr<Writer>> Writer::open(base::FileSystem &file_system, Geometry geometry,
                                                   SharedState &state, base::Mutex &sync_lock) {
    return base::guarded([&]() -> base::Result<std::unique_ptr<Writer>> {
        DVEC_TRY(validate(geometry));
        return std::unique_ptr<Writer>(
            new Writer(file_system, std::move(geometry), state, sync_lock));
    });
}

base::Status Writer::begin(Position start) {
    return base::guarded([&]() -> base::Status {
        const Position first = geometry_.place(start, geometry_.segment_bytes);
        if (geometry_.segment_of(first) > max_segment_number)
            return {base::Code::limit_exceeded, "the log's segment numbers have run out"};
        DVEC_TRY(remove_segments_unless([](Position) { return false; }));
        DVEC_TRY(file_system_.sync_directory(geometry_.directory));
        set_state(first, first, 0);
        state_.sync_failed.store(0, std::memory_order_release);
        return {};
    });
}

base::Status Writer::resume(const ReplayReport &report) {
    return base::guarded([&]() -> base::Status {
        if (state_.sync_failed.load(std::memory_order_acquire) != 0)
            return {base::Code::io_error, "an earlier sync of the log failed"};
        // This writer's own mappings go first: segments behind the end lose their pages below.
        mapped_ = {};
        // A segment that begins at the end stays: the segment before it may say that it is there,
        // and until the next checkpoint a start must find it. The next append makes it anew.
        DVEC_TRY(remove_segments_unless(
            [&report](Position begin) { return begin >= report.first && begin <= report.end; }));
        DVEC_TRY(clear_behind(report.end));
        DVEC_TRY(sync_all_segments());
        DVEC_TRY(file_system_.sync_directory(geometry_.directory));
        set_state(report.first, report.end, report.max_lsn);
        return {};
    });
}

// Cuts off the rest of the segment that `end` lies in, where remains of unfinished or torn records
// may be. Afterwards the file reaches as far as set_state() says, whatever its size was before.
base::Status Writer::clear_behind(Position end) {
    const std::uint64_t offset = geometry_.offset_of(end);
    if (offset == 0)
        return {};
    const std::uint64_t segment = geometry_.segment_of(end);
    const std::uint64_t bytes = geometry_.file_bytes(offset + record_alignment);
    auto file = file_system_.open(geometry_.segment_path(segment), base::OpenMode::read_write);
    if (file.status().code() == base::Code::not_found)
        return create_segment(file_system_, geometry_, segment, bytes);
    DVEC_TRY(file);
    DVEC_TRY(write_zeros(*file.value(), offset, bytes));
    return file.value()->truncate(bytes);
}

template <class Kept>
base::Status Writer::remove_segments_unless(const Kept &kept) {
    auto segments = list_segments(file_system_, geometry_);
    DVEC_TRY(segments);
    for (const std::uint32_t segment : segments.value())
        if (!kept(geometry_.start_of(segment)))
            DVEC_TRY(remove_segment(file_system_, geometry_, segment));
    return remove_unfinished_segment(file_system_, geometry_);
}

void Writer::set_state(Position first, Position end, std::uint64_t max_lsn) noexcept {
    mapped_ = {};
    state_.replaced.fetch_add(1, std::memory_order_acq_rel);
    state_.first.store(first, std::memory_order_release);
    state_.synced.store(end, std::memory_order_release);
    state_.max_lsn.store(max_lsn, std::memory_order_release);
    state_.head.store(end, std::memory_order_release);
    const std::uint64_t offset = geometry_.offset_of(end);
    state_.ready_end.store(
        offset == 0 ? end : end - offset + geometry_.file_bytes(offset + record_alignment),
        std::memory_order_release);
}

base::Status Writer::prepare(std::size_t bytes, std::uint64_t ahead) {
    return base::guarded([&]() -> base::Status {
        if (bytes > geometry_.segment_bytes)
            return {base::Code::limit_exceeded,
                    std::to_string(bytes) + " bytes are more than a log segment holds"};
        const Position head = state_.head.load(std::memory_order_acquire);
        const Position needed = geometry_.reach(geometry_.place(head, bytes) + bytes);
        return make_ready(needed, std::max(needed, head + ahead));
    });
}

// A segment is made ready to its end before the next one is begun, so one position tells how far
// the log is ready.
base::Status Writer::make_ready(Position needed, Position wished) {
    for (;;) {
        const Position ready = state_.ready_end.load(std::memory_order_acquire);
        if (ready >= needed)
            return {};
        if (geometry_.segment_of(ready) > max_segment_number)
            return {base::Code::limit_exceeded, "the log's segment numbers have run out"};
        const Position begin = geometry_.start_of(geometry_.segment_of(ready));
        const Position ample = begin + geometry_.file_bytes(wished - begin);
        const Position exact = begin + geometry_.file_bytes(needed - begin);
        base::Status status = extend_to(ample);
        if (status.code() == base::Code::no_space && exact < ample)
            status = extend_to(exact);
        DVEC_TRY(std::move(status));
    }
}

// Makes the log ready up to `end`, which lies in the segment of `ready_end` or is its end.
base::Status Writer::extend_to(Position end) {
    const Position ready = state_.ready_end.load(std::memory_order_acquire);
    const std::uint64_t segment = geometry_.segment_of(ready);
    const std::uint64_t offset = geometry_.offset_of(ready);
    const std::uint64_t bytes = end - geometry_.start_of(segment);
    if (offset == 0) {
        DVEC_TRY(create_segment(file_system_, geometry_, segment, bytes));
    } else {
        auto file = file_system_.open(geometry_.segment_path(segment), base::OpenMode::read_write);
        DVEC_TRY(file);
        DVEC_TRY(extend_segment(*file.value(), offset, bytes));
        DVEC_TRY(sync_longer_file(*file.value()));
    }
    state_.ready_end.store(end, std::memory_order_release);
    return {};
}

// Others may be syncing the records in this file. The kernel reports a loss of records to those who
// had the file open when it was first reported, and to nobody who opens it later. So whoever syncs
// holds the sync lock until a failure is noted in sync_failed.
//
// `file` was opened for this call alone, before the lock was taken. If a loss was reported before
// that, then to somebody who held the lock, and it is noted by the time the lock is ours. If not,
// the kernel reports it to this call, too.
base::Status Writer::sync_longer_file(base::File &file) {
    const std::lock_guard hold(sync_lock_);
    if (state_.sync_failed.load(std::memory_order_acquire) != 0)
        return {base::Code::io_error, "an earlier sync of the log failed"};
    return sync_file(file);
}

base::Status Writer::end_segment(base::Mutex &append, std::uint64_t ahead) {
    return base::guarded([&]() -> base::Status {
        const Position head = state_.head.load(std::memory_order_acquire);
        const std::uint64_t segment = geometry_.segment_of(head);
        const Position next = geometry_.start_of(segment + 1);
        const Draft end(RecordType::segment_end, 0, {});
        if (geometry_.offset_of(head) == 0 || segment >= max_segment_number)
            return {};
        if (geometry_.place(head, end.record_bytes()) == head)
            DVEC_TRY(prepare(end.record_bytes()));
        if (!withdraw_next(append, next))
            return {};
        const std::uint64_t bytes = geometry_.file_bytes(std::max<std::uint64_t>(ahead, 1));
        DVEC_TRY(create_segment(file_system_, geometry_, segment + 1, bytes));
        const std::lock_guard hold(append);
        return leave_segment(next, next + bytes, end);
    });
}

// A part of the next segment may be ready, made while the log grew. Takes that back, so that from
// now on nobody appends there and its file can be replaced. False when somebody has appended there
// already.
bool Writer::withdraw_next(base::Mutex &append, Position next) {
    const std::lock_guard hold(append);
    if (state_.head.load(std::memory_order_relaxed) >= next)
        return false;
    if (state_.ready_end.load(std::memory_order_relaxed) > next) {
        state_.ready_end.store(next, std::memory_order_release);
        state_.replaced.fetch_add(1, std::memory_order_acq_rel);
    }
    return true;
}

// Under the append lock; `ready_end` does not change meanwhile.
base::Status Writer::leave_segment(Position next, Position ready, const Draft &end) {
    const Position head = state_.head.load(std::memory_order_relaxed);
    if (head >= next)
        return {};
    if (geometry_.place(head, end.record_bytes()) == head) {
        auto room = fits(end);
        DVEC_TRY(room);
        if (!room.value())
            return {};
        write_record(head, end, 0);
    }
    state_.ready_end.store(ready, std::memory_order_release);
    state_.head.store(next, std::memory_order_release);
    return {};
}

base::Result<bool> Writer::fits(const Draft &draft) {
    return base::guarded([&]() -> base::Result<bool> {
        const std::size_t bytes = draft.record_bytes();
        if (draft.payload_bytes() > max_payload_bytes || bytes > geometry_.segment_bytes)
            return base::Status(
                base::Code::limit_exceeded,
                "a log record cannot hold " + std::to_string(draft.payload_bytes()) + " bytes");
        const Position head = state_.head.load(std::memory_order_relaxed);
        const Position place = geometry_.place(head, bytes);
        if (geometry_.reach(place + bytes) > state_.ready_end.load(std::memory_order_acquire))
            return false;

        const std::uint32_t replaced = state_.replaced.load(std::memory_order_acquire);
        if (replaced != seen_replaced_) {
            mapped_ = {};
            seen_replaced_ = replaced;
        }
        // The segment that is left needs a mapping, too, for the segment_end in its rest.
        if (place != head && geometry_.place(head, sizeof(RecordHeader)) == head)
            DVEC_TRY(map_segment(geometry_.segment_of(head)));
        DVEC_TRY(map_segment(geometry_.segment_of(place)));
        return true;
    });
}

base::Status Writer::map_segment(std::uint64_t number) {
    MappedSegment &slot = mapped_[number % mapped_.size()];
    if (slot.number == number)
        return {};
    // Read before the size: somebody may be extending the file, and sets ready_end only when that
    // is done.
    const Position ready = state_.ready_end.load(std::memory_order_acquire);
    auto file = file_system_.open(geometry_.segment_path(number), base::OpenMode::read_write);
    DVEC_TRY(file);
    auto size = file.value()->size();
    DVEC_TRY(size);
    if (geometry_.start_of(number) + size.value() < std::min(ready, geometry_.start_of(number + 1)))
        return {base::Code::corrupt,
                "log segment \"" + file.value()->path() + "\" is shorter than it was made"};
    auto mapping = file.value()->map(geometry_.segment_bytes, base::Access::read_write);
    DVEC_TRY(mapping);
    slot.mapping = std::move(mapping).value();
    slot.number = number;
    return {};
}

std::byte *Writer::address(Position position) const noexcept {
    const MappedSegment &slot = mapped_[geometry_.segment_of(position) % mapped_.size()];
    assert(slot.number == geometry_.segment_of(position));
    return slot.mapping.data() + geometry_.offset_of(position);
}

Position Writer::append(const Draft &draft, std::uint32_t node) noexcept {
    const std::size_t bytes = draft.record_bytes();
    const Position head = state_.head.load(std::memory_order_relaxed);
    const Position place = geometry_.place(head, bytes);
    if (place != head) {
        if (geometry_.place(head, sizeof(RecordHeader)) == head)
            write_record(head, Draft(RecordType::segment_end, 0, {}), 0);
        // Published on its own: were this writer killed with only the record behind it written, a
        // shorter record could still go to the old head and leave a gap before that one.
        state_.head.store(place, std::memory_order_release);
    }
    write_record(place, draft, node);
    if (draft.lsn_ > state_.max_lsn.load(std::memory_order_relaxed))
        state_.max_lsn.store(draft.lsn_, std::memory_order_release);
    state_.head.store(place + bytes, std::memory_order_release);
    return place + bytes;
}

void Writer::write_record(Position position, const Draft &draft, std::uint32_t node) noexcept {
    const std::size_t bytes = draft.record_bytes();
    RecordHeader header{.magic = 0,
                        .length = static_cast<std::uint32_t>(draft.payload_bytes()),
                        .crc = 0,
                        .segment = static_cast<std::uint32_t>(geometry_.segment_of(position)),
                        .type = static_cast<std::uint16_t>(draft.type_),
                        .reserved = 0,
                        .node = node,
                        .lsn = draft.lsn_};
    header.crc = record_crc(draft.payload_crc_, header, position, geometry_.identity);

    std::byte *const begin = address(position);
    std::byte *target = begin;
    // Here may be a finished record whose writer died before acknowledging it. Clearing the magic
    // first makes it disappear as a whole.
    store_magic(begin, 0);
    keep_store_order();
    const auto put = [&target](const void *data, std::size_t size) {
        if (size != 0)
            std::memcpy(target, data, size);
        target += size;
    };
    put(&header, sizeof(header));
    put(draft.first_.data(), draft.first_.size());
    put(draft.second_.data(), draft.second_.size());
    std::memset(target, 0, static_cast<std::size_t>(begin + bytes - target));
    if (geometry_.offset_of(position) + bytes < geometry_.segment_bytes)
        store_magic(begin + bytes, 0);
    store_magic(begin, record_magic);
}

base::Status Writer::sync() {
    return base::guarded([&]() -> base::Status {
        if (state_.sync_failed.load(std::memory_order_acquire) != 0)
            return {base::Code::io_error, "an earlier sync of the log failed"};
        // The kernel writes back every store made before the call, through whichever mapping:
        // reading the head with acquire puts all stores of the records before it there.
        const Position target = state_.head.load(std::memory_order_acquire);
        const Position begin = state_.synced.load(std::memory_order_acquire);
        if (begin >= target)
            return {};
        for (std::uint64_t segment = geometry_.segment_of(begin);
             geometry_.start_of(segment) < target; ++segment) {
            base::Status status = sync_segment(segment);
            // The segment may be gone because its records have become unnecessary and it was
            // discarded.
            const bool discarded =
                status.code() == base::Code::not_found &&
                geometry_.start_of(segment) < state_.first.load(std::memory_order_acquire);
            if (!status.ok() && !discarded)
                return status;
        }
        raise(state_.synced, target);
        return {};
    });
}

base::Status Writer::sync_segment(std::uint64_t segment) {
    auto file = file_system_.open(geometry_.segment_path(segment), base::OpenMode::read_write);
    DVEC_TRY(file);
    return sync_file(*file.value());
}

base::Status Writer::sync_file(base::File &file) {
    base::Status status = file.sync();
    if (!status.ok())
        state_.sync_failed.store(1, std::memory_order_release);
    return status;
}

base::Status Writer::sync_all_segments() {
    auto segments = list_segments(file_system_, geometry_);
    DVEC_TRY(segments);
    for (const std::uint32_t segment : segments.value())
        DVEC_TRY(sync_segment(segment));
    return {};
}

base::Status Writer::discard_before(Position position) {
    return base::guarded([&]() -> base::Status {
        if (position > state_.head.load(std::memory_order_acquire))
            return {base::Code::invalid_argument, "the log ends before the position to discard to"};
        raise(state_.synced, position);
        const Position first = geometry_.start_of(geometry_.segment_of(position));
        const Position old_first = state_.first.load(std::memory_order_acquire);
        // `first` is moved before the files are removed, so that a sync which misses a file knows
        // that it was discarded.
        raise(state_.first, first);
        for (std::uint64_t segment = geometry_.segment_of(old_first);
             geometry_.start_of(segment) < first; ++segment)
            DVEC_TRY(remove_segment(file_system_, geometry_, segment));
        return {};
    });
}

}  // namespace dvec::log
