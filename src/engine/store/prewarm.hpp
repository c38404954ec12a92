// Reads the files of indexes into memory beside everything else: after a start of the machine, what
// was searched before it (worker/searched_indexes).
//
// Only names of folders are needed: the indexes may be in use or not, be dropped, compacted or
// built anew meanwhile. Nothing is written and nothing is believed.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/file.hpp"
#include "engine/base/status.hpp"

namespace dvec::store {

class Prewarm {
  public:
    struct Params {
        std::vector<std::string> directories;  // of indexes, in the order in which they are read
        // How many bytes of files may be in memory by the end. Asked again and again, since others
        // need memory too; called by the thread.
        std::function<std::uint64_t()> room;
    };
    struct Outcome {
        std::uint32_t indexes = 0;  // whose files are in memory as a whole
        std::uint64_t bytes = 0;    // of files that were looked at
        std::uint64_t read = 0;     // of them, that were not in memory
        bool out_of_room = false;   // it ended with the room, not with the list
        double seconds = 0;
        base::Status failure;  // the first; the rest was read all the same
    };

    explicit Prewarm(base::FileSystem &file_system) noexcept : file_system_(file_system) {}
    // Waits for the thread.
    ~Prewarm();
    Prewarm(const Prewarm &) = delete;
    Prewarm &operator=(const Prewarm &) = delete;

    // Begins in a thread of its own, of the lowest priority for processor and disk. At most once.
    base::Status begin(Params params);
    // Waits until it has ended, which takes as long as the system needs for some megabytes.
    void stop() noexcept;

    bool done() const noexcept { return done_.load(std::memory_order_acquire); }
    // Once it is done.
    const Outcome &outcome() const noexcept { return outcome_; }

  private:
    void run() noexcept;
    base::Status read_index(const std::string &directory);
    base::Status read_file(const std::string &path);
    base::Status read_piece(base::File &file, const base::Mapping &map, std::uint64_t at);
    bool must_end();

    base::FileSystem &file_system_;
    Params params_;
    Outcome outcome_;
    std::thread thread_;
    std::atomic<bool> stop_{false};
    std::atomic<bool> done_{false};
};

}  // namespace dvec::store
