// The files of a build: in memory for as long as they fit, then in a folder. Links change all over
// the files while a graph is built. Of files on disk the system writes the same pages again and
// again meanwhile; what was built in memory is written once, from the beginning to the end.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/base/file.hpp"
#include "engine/graph/node_store.hpp"

namespace dvec::store {

// base::available_memory(), of this process.
std::uint64_t available_to_process();

// How much memory the files of a build may take. Any thread.
class MemoryAllowance {
  public:
    // What the system has left for this process, in bytes.
    using Available = std::uint64_t (*)();

    // `bytes` in all. `available` is asked now and then, and not more is taken than it says.
    MemoryAllowance(std::uint64_t bytes, Available available)
        : bytes_(bytes), available_(available) {}

    // The most there is to take.
    std::uint64_t bytes() const noexcept { return bytes_; }
    // Takes more, if it may be taken.
    bool take(std::uint64_t bytes);
    // Says that the system did not give what was taken, or, with 0, not even the addresses for it.
    void was_refused(std::uint64_t bytes);
    // Whether it was the system that had no more when something was refused last.
    bool system_short() const noexcept;

  private:
    const std::uint64_t bytes_;
    const Available available_;
    mutable std::mutex mutex_;
    std::uint64_t taken_ = 0;
    std::uint64_t assured_ = 0;  // so much may be taken before the system is asked again
    bool system_short_ = false;
};

// The part of `memory` that is left to the files when linking takes what it needs for their rows.
std::uint64_t memory_for_files(std::uint64_t memory, const graph::Layout &layout);

// A file system like the one below it, except that the files created here are in memory until
// move_out(). Nobody else sees these, and what follows `open` below does not know them. Any thread
// may open files.
class BuildFiles final : public base::FileSystem {
  public:
    // The files in memory take `memory` bytes at most; 0: there are none. To allocate more fails
    // with Code::no_space, whether the allowance is used up or the system has no more.
    BuildFiles(base::FileSystem &below, std::uint64_t memory,
               MemoryAllowance::Available available = available_to_process);

    // Whether new files are created in memory, and those created here are there.
    bool in_memory() const noexcept { return in_memory_.load(std::memory_order_acquire); }
    bool system_short() const noexcept { return allowance_.system_short(); }

    // Creates an index's node files; below, where the system refuses them memory.
    base::Status create(const graph::NodeStore::Params &params);

    // Writes the files to the file system below, under their names, not synced, and gives their
    // memory back piece by piece. From then on their names mean the files below. Nobody may write
    // to the files meanwhile, through mappings neither; mappings of the files in memory show
    // nothing of use afterwards. A failure leaves neither the files in memory nor whole ones below:
    // the build is lost. Code::interrupted when `stop` becomes true.
    base::Status move_out(const std::atomic<bool> &stop);

    base::Result<std::unique_ptr<base::File>> open(const std::string &path,
                                                   base::OpenMode mode) override;
    base::Status make_directory(const std::string &path) override {
        return below_.make_directory(path);
    }
    base::Status rename(const std::string &from, const std::string &to) override {
        return below_.rename(from, to);
    }
    base::Status remove(const std::string &path) override { return below_.remove(path); }
    base::Status remove_directory(const std::string &path) override {
        return below_.remove_directory(path);
    }
    base::Result<bool> exists(const std::string &path) override { return below_.exists(path); }
    base::Result<std::vector<std::string>> list(const std::string &path) override {
        return below_.list(path);
    }
    base::Status sync_directory(const std::string &path) override {
        return below_.sync_directory(path);
    }

  private:
    class MemoryFile;

    void forget();
    base::Status write_below(base::File &file, const std::atomic<bool> &stop);

    base::FileSystem &below_;
    MemoryAllowance allowance_;
    std::atomic<bool> in_memory_;
    std::mutex mutex_;
    std::map<std::string, std::shared_ptr<base::File>> files_;  // in memory; under mutex_
};

}  // namespace dvec::store
