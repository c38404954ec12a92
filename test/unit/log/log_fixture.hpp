// What the tests of the log share: a log in a folder of its own, records whose payload is a
// function of their node id (so that a reader's record can be checked against what must have been
// written), and replay into a plain list.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "../support/temp_directory.hpp"
#include "engine/base/file.hpp"
#include "engine/log/reader.hpp"
#include "engine/log/writer.hpp"

namespace dvec::test {

inline constexpr std::uint64_t small_segment = 4096;
inline constexpr std::uint64_t test_identity = 0x5EED'0F'A'106;

using Payload = std::vector<std::byte>;

inline Payload make_payload(std::uint32_t node, std::size_t size) {
    Payload payload(size);
    std::uint64_t word = node * std::uint64_t{0x9E3779B97F4A7C15} + 12345;
    for (std::size_t begin = 0; begin < size; begin += sizeof(word)) {
        word = word * 6364136223846793005u + 1442695040888963407u;
        std::memcpy(payload.data() + begin, &word, std::min(sizeof(word), size - begin));
    }
    return payload;
}

struct ReadRecord {
    log::RecordType type;
    std::uint32_t node;
    std::uint64_t lsn;
    Payload payload;
    log::Position position;
    bool operator==(const ReadRecord &) const = default;
};

struct ReplayResult {
    base::Status status;
    log::ReplayReport report;
    std::vector<ReadRecord> records;
};

inline ReplayResult replay_all(const log::Geometry &geometry, log::Position from = 0,
                               base::FileSystem &file_system = base::posix_file_system()) {
    ReplayResult result;
    auto report =
        log::replay(file_system, geometry, from, [&](const log::Record &record) -> base::Status {
            result.records.push_back({record.type, record.node, record.lsn,
                                      Payload(record.payload.begin(), record.payload.end()),
                                      record.position});
            return {};
        });
    if (report.ok())
        result.report = std::move(report).value();
    else
        result.status = std::move(report).status();
    return result;
}

// A lock that one thread takes, and that tells when.
class MutexOfNobody final : public base::Mutex {
  public:
    void lock() override {
        ++held;
        if (on_lock)
            on_lock();
    }
    void unlock() override {
        if (on_unlock)
            on_unlock();
        --held;
    }

    int held = 0;
    std::function<void()> on_lock;
    std::function<void()> on_unlock;
};

// One process's view of a log, with the loop every appender runs.
class LogUnderTest {
  public:
    explicit LogUnderTest(std::uint64_t segment_bytes = small_segment,
                          base::FileSystem &file_system = base::posix_file_system())
        : file_system_(file_system) {
        geometry_ = {.directory = directory_.path(),
                     .segment_bytes = segment_bytes,
                     .identity = test_identity};
        open();
    }

    // A second writer on the same state.
    std::unique_ptr<log::Writer> make_writer() {
        auto writer = log::Writer::open(file_system_, geometry_, state_, sync_lock_);
        EXPECT_TRUE(writer.ok()) << writer.status().message();
        return std::move(writer).value();
    }

    void open() { writer_ = make_writer(); }

    // Forgets everything that lived in memory, as a crash does; then recovers.
    ReplayResult crash_and_resume(log::Position from = 0) {
        writer_.reset();
        state_.head = 0xDEAD;
        state_.ready_end = 0xDEAD;
        state_.synced = 0xDEAD;
        state_.first = 0xDEAD;
        state_.max_lsn = 0xDEAD;
        open();
        ReplayResult result = replay(from);
        EXPECT_TRUE(result.status.ok()) << result.status.message();
        const base::Status resumed = writer_->resume(result.report);
        EXPECT_TRUE(resumed.ok()) << resumed.message();
        return result;
    }

    ReadRecord append_payload(log::RecordType type, std::uint32_t node,
                              std::span<const std::byte> payload) {
        const std::uint64_t lsn = 1000 + node;
        // The two parts meet at a place that varies.
        const std::size_t split = payload.size() * (node % 4) / 3 % (payload.size() + 1);
        const log::Draft draft(type, lsn, payload.first(split), payload.subspan(split));
        EXPECT_TRUE(make_room(draft));
        const log::Position end = writer_->append(draft, node);
        return {type, node, lsn, Payload(payload.begin(), payload.end()),
                end - draft.record_bytes()};
    }

    ReadRecord append(std::uint32_t node, std::size_t payload_size) {
        return append_payload(log::RecordType::insert, node, make_payload(node, payload_size));
    }

    bool make_room(const log::Draft &draft) {
        for (int attempt = 0; attempt < 2; ++attempt) {
            const auto fits = writer_->fits(draft);
            EXPECT_TRUE(fits.ok()) << fits.status().message();
            if (!fits.ok())
                return false;
            if (fits.value())
                return true;
            const base::Status prepared = writer_->prepare(draft.record_bytes());
            EXPECT_TRUE(prepared.ok()) << prepared.message();
        }
        return false;
    }

    ReplayResult replay(log::Position from = 0) {
        return replay_all(geometry_, from, file_system_);
    }

    std::string segment(std::uint64_t number) const { return geometry_.segment_path(number); }

    // Held around sync() by all processes.
    MutexOfNobody &sync_lock() { return sync_lock_; }
    log::Writer &writer() { return *writer_; }
    log::SharedState &state() { return state_; }
    const log::Geometry &geometry() const { return geometry_; }
    const TempDirectory &directory() const { return directory_; }

  private:
    TempDirectory directory_;
    base::FileSystem &file_system_;
    log::Geometry geometry_;
    log::SharedState state_{};
    MutexOfNobody sync_lock_;
    std::unique_ptr<log::Writer> writer_;
};

}  // namespace dvec::test
