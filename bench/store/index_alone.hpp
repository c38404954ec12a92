// What an index needs from a server, for programs that have none.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <thread>

#include "bench/check.hpp"
#include "engine/base/mutex.hpp"
#include "engine/store/builder.hpp"
#include "engine/store/wal_history.hpp"

namespace dvec::bench {

// No row is in anybody's WAL, so none is lost and nothing has to be flushed.
class NoWal final : public store::WalFlusher, public store::WalHistory {
  public:
    base::Status flush(std::uint64_t) override { return {}; }
    std::uint64_t current_start() const noexcept override { return 1; }
    std::optional<std::uint64_t> surviving_end(std::uint64_t) const noexcept override {
        return nothing_lost;
    }
    Foreign foreign_recovery_since(std::uint64_t) const noexcept override { return Foreign::none; }
    bool file_system_held_since(std::uint64_t) const noexcept override { return true; }
};

class Lock : public base::Mutex {
  public:
    void lock() override { mutex_.lock(); }
    void unlock() override { mutex_.unlock(); }

  private:
    std::mutex mutex_;
};

// When all rows were added: links the rest and makes the files whole. Ends the program on failure.
inline void complete(store::Builder &builder, NoWal &wal) {
    builder.finish_adding();
    while (!builder.done())
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    check(builder.complete(wal, {.server_start = wal.current_start()}));
}

}  // namespace dvec::bench
