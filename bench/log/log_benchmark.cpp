// What the log costs: one append (the part under the append lock, and with the checksum of its
// payload that is computed before), and how fast replay reads a log back. Files go to $TMPDIR, else
// to /tmp; a run needs some hundred megabytes there.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "bench/scratch_folder.hpp"
#include "engine/log/reader.hpp"
#include "engine/log/writer.hpp"

namespace {

using namespace dvec;

constexpr std::uint64_t segment_bytes = std::uint64_t{16} << 20;

// For the one process there is.
class Unshared final : public base::Mutex {
  public:
    void lock() override {}
    void unlock() override {}
};

class Log {
  public:
    Log() {
        geometry_ = {.directory = folder_.path(), .segment_bytes = segment_bytes, .identity = 1};
        auto opened = log::Writer::open(base::posix_file_system(), geometry_, state_, sync_lock_);
        if (!opened.ok())
            std::abort();
        writer_ = std::move(opened).value();
    }

    // Whether there is room for the record at the head.
    bool ready(const log::Draft &draft) {
        const auto fits = writer_->fits(draft);
        return fits.ok() && fits.value();
    }

    void make_room(std::uint64_t kept_bytes) {
        const log::Position head = state_.head;
        if (head > kept_bytes) {
            if (!writer_->sync().ok())
                std::abort();
            if (!writer_->discard_before(head - kept_bytes).ok())
                std::abort();
        }
        if (!writer_->prepare(segment_bytes).ok())
            std::abort();
    }

    // Segments come and go behind the clock's back.
    void append(benchmark::State &state, const log::Draft &draft, std::uint32_t node) {
        if (!ready(draft)) {
            state.PauseTiming();
            make_room(0);
            state.ResumeTiming();
            if (!ready(draft))
                std::abort();
        }
        benchmark::DoNotOptimize(writer_->append(draft, node));
    }

    log::Writer &writer() { return *writer_; }
    const log::Geometry &geometry() const { return geometry_; }

  private:
    const bench::ScratchFolder folder_;
    log::SharedState state_{};
    Unshared sync_lock_;
    log::Geometry geometry_;
    std::unique_ptr<log::Writer> writer_;
};

std::vector<std::byte> vector_payload(std::int64_t dimensions) {
    return std::vector<std::byte>(static_cast<std::size_t>(dimensions) * sizeof(float),
                                  std::byte{0x3D});
}

const std::byte row_id[6] = {};

// The append lock's share: the draft is there already.
void append_prepared(benchmark::State &state) {
    Log log;
    const auto payload = vector_payload(state.range(0));
    const log::Draft draft(log::RecordType::insert, 1, row_id, payload);
    std::uint32_t node = 0;
    for (auto _ : state) {
        log.append(state, draft, node++);
    }
    state.SetItemsProcessed(state.iterations());
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(draft.record_bytes()));
}
BENCHMARK(append_prepared)->Arg(128)->Arg(768)->Arg(1536);

// All that one insert pays: checksum, room, copy.
void append_whole(benchmark::State &state) {
    Log log;
    const auto payload = vector_payload(state.range(0));
    std::uint32_t node = 0;
    for (auto _ : state) {
        const log::Draft draft(log::RecordType::insert, node, row_id, payload);
        log.append(state, draft, node++);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(append_whole)->Arg(128)->Arg(768)->Arg(1536);

// A new segment, durable: what the worker does ahead of the appenders.
void prepare_segment(benchmark::State &state) {
    Log log;
    std::uint64_t number = 0;
    for (auto _ : state) {
        if (!log::create_segment(base::posix_file_system(), log.geometry(), number % 4,
                                 log.geometry().segment_bytes)
                 .ok())
            std::abort();
        ++number;
    }
}
BENCHMARK(prepare_segment)->Unit(benchmark::kMillisecond);

void replay(benchmark::State &state) {
    Log log;
    const auto payload = vector_payload(state.range(0));
    const log::Draft draft(log::RecordType::insert, 1, row_id, payload);
    std::uint64_t written = 0;
    for (std::uint32_t node = 0; written < std::uint64_t{128} << 20; ++node) {
        if (!log.ready(draft))
            log.make_room(std::uint64_t{1} << 40);
        if (!log.ready(draft))
            std::abort();
        log.writer().append(draft, node);
        written += draft.record_bytes();
    }
    std::uint64_t records = 0;
    for (auto _ : state) {
        const auto report = log::replay(base::posix_file_system(), log.geometry(), 0,
                                        [&](const log::Record &) -> base::Status {
                                            ++records;
                                            return {};
                                        });
        if (!report.ok() || !report.value().damage.empty())
            std::abort();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(records));
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(written));
}
BENCHMARK(replay)->Arg(128)->Arg(768)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
