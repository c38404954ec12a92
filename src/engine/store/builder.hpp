// Builds an index from nothing: one thread adds rows, others link them as they arrive. The files
// are in memory until they are whole, or no longer fit there. No log is kept; everything is synced
// at the end, and only then the checkpoint says so. So a build that is interrupted leaves a folder
// that no recovery will believe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "engine/base/file.hpp"
#include "engine/graph/linker.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/store/build_files.hpp"
#include "engine/store/checkpointer.hpp"
#include "engine/store/description.hpp"
#include "engine/store/shared_state.hpp"

namespace dvec::store {

class Builder {
  public:
    // Creates the folder and the files; a folder of that name must not exist. `threads` link beside
    // the thread that adds (at least one). The files, and what linking needs beside them, take
    // about `memory` bytes before the files are moved to the folder; 0: they are there from the
    // start.
    static base::Result<std::unique_ptr<Builder>> create(base::FileSystem &file_system,
                                                         const Description &description,
                                                         unsigned threads,
                                                         std::uint64_t memory = 0);
    // Stops linking and joins the threads. Leaves the files as they are; what is in memory is gone.
    ~Builder();

    // Adds a row; only one thread may call this. Also reports a failure of the linking threads.
    // Never waits: false says that the row was not added, since the files are being moved out of
    // memory or have to be, and that it is to be tried again a little later.
    base::Result<bool> try_add(graph::Tid tid, const graph::Row &row);
    // The same, but waits until the row is added.
    base::Status add(graph::Tid tid, const graph::Row &row);

    std::uint32_t added() const noexcept { return state_.graph.allocated.load(); }
    std::uint32_t linked() const noexcept { return state_.graph.linked.load(); }

    // How many rows had been added when the files had to leave memory before they were whole, and
    // whether it was the system that had no more of it.
    struct Outgrown {
        std::uint32_t rows = 0;
        bool system_short = false;
    };
    std::optional<Outgrown> outgrown() const noexcept;

    // Says that no more rows will come, so that linking runs to its end, and what is in memory is
    // written to the folder. Returns at once; poll done().
    void finish_adding() noexcept { adding_.store(false, std::memory_order_release); }
    // Whether that has begun.
    bool writing() const noexcept { return writing_.load(std::memory_order_relaxed); }
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

    struct Means {
        unsigned threads;
        std::uint64_t memory;
    };
    Builder(base::FileSystem &file_system, const Description &description,
            const distance::Kernel &kernel, Means means);

    base::Status make_files();
    base::Result<bool> make_room();
    void drive();
    base::Status link_all();
    base::Status link_batch(graph::NodeId end);
    base::Status connect_all();
    base::Status outgrow_memory();
    void note_outgrown() noexcept;
    base::Status move_files();

    base::FileSystem &file_system_;
    const Description description_;
    const unsigned threads_;  // that link
    const distance::Kernel kernel_;
    const graph::NodeStore::Params params_;
    BuildFiles files_;
    SharedState state_{};
    ThreadMutex append_;
    ThreadMutex grow_;
    ThreadMutex sync_;
    std::unique_ptr<graph::NodeStore> nodes_;         // of the adding thread
    std::unique_ptr<graph::NodeStore> linker_nodes_;  // of the linking threads
    std::unique_ptr<graph::Linker> linker_;

    // Held by the adding thread while it uses its mapping, and by the driver while it moves files.
    std::mutex moving_;
    std::atomic<bool> move_wanted_{false};  // before the files are whole; until they were moved
    std::atomic<bool> outgrown_{false};     // says that the other one is there
    Outgrown outgrown_when_;
    std::atomic<bool> writing_{false};
    std::atomic<bool> adding_{true};
    std::atomic<bool> stop_{false};
    std::atomic<bool> driver_done_{false};
    base::Status driver_status_;  // valid once driver_done_
    std::thread driver_;
};

}  // namespace dvec::store
