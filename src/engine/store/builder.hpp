// Builds an index from nothing: one thread adds rows, others link them as they arrive. No log is
// kept; everything is synced at the end, and only then the checkpoint says so. So a build that is
// interrupted leaves a folder that no recovery will believe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>

#include "engine/base/file.hpp"
#include "engine/graph/linker.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/store/checkpointer.hpp"
#include "engine/store/description.hpp"
#include "engine/store/shared_state.hpp"

namespace dvec::store {

class Builder {
  public:
    // Creates the folder and its files; a folder of that name must not exist. `threads` link beside
    // the thread that adds (at least one).
    static base::Result<std::unique_ptr<Builder>> create(base::FileSystem &file_system,
                                                         const Description &description,
                                                         unsigned threads);
    // Stops linking and joins the threads. Leaves the files as they are.
    ~Builder();

    // Adds a row; only one thread may call this. Also reports a failure of the linking threads.
    base::Status add(graph::Tid tid, const graph::Row &row);

    std::uint32_t added() const noexcept { return state_.graph.allocated.load(); }
    std::uint32_t linked() const noexcept { return state_.graph.linked.load(); }

    // Says that no more rows will come, so that linking runs to its end. Returns at once; poll
    // done().
    void finish_adding() noexcept { adding_.store(false, std::memory_order_release); }
    bool done() const noexcept { return driver_done_.load(std::memory_order_acquire); }

    // After done(): makes everything durable. Then the folder can be opened by recover().
    struct Origin {
        std::uint64_t server_start = 0;   // WalHistory::current_start
        std::uint64_t reconcile_lsn = 0;  // where PostgreSQL's WAL ended before the heap was read
    };
    base::Status complete(WalFlusher &wal, const Origin &origin);

  private:
    class ThreadMutex final : public base::Mutex {
      public:
        void lock() override { mutex_.lock(); }
        void unlock() override { mutex_.unlock(); }

      private:
        std::mutex mutex_;
    };

    Builder(base::FileSystem &file_system, const Description &description)
        : file_system_(file_system), description_(description) {}

    base::Status make_files(unsigned threads);
    void drive();
    base::Status link_all();
    base::Status connect_all();

    base::FileSystem &file_system_;
    Description description_;
    distance::Kernel kernel_{};
    unsigned threads_ = 1;  // that link
    SharedState state_{};
    ThreadMutex append_;
    ThreadMutex grow_;
    ThreadMutex sync_;
    std::unique_ptr<graph::NodeStore> nodes_;         // of the adding thread
    std::unique_ptr<graph::NodeStore> linker_nodes_;  // of the linking threads
    std::unique_ptr<graph::Linker> linker_;

    std::atomic<bool> adding_{true};
    std::atomic<bool> stop_{false};
    std::atomic<bool> driver_done_{false};
    base::Status driver_status_;  // valid once driver_done_
    std::thread driver_;
};

}  // namespace dvec::store
