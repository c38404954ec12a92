// Gets rid of deleted nodes: writes the live ones, linked anew, into node files of the next
// generation beside the old ones and exchanges the two. Inserts, removals and searches go on all
// the while in the old files; the exchange itself keeps inserts and removals waiting for as long as
// it takes to copy the last rows, look at every node's flags and sync what was written last.
//
// Every row that is added meanwhile is more work for the compaction. So the compaction says how
// many rows may be added until it has got further (SharedState::compaction): one for every two
// nodes that it has linked. That way it comes to its end under any load.
//
// A process that has the old files mapped gets Code::stale the next time it uses the index, and
// must open the new files; a search that is under way finishes in the files in which it began.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/base/file.hpp"
#include "engine/graph/linker.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/store/build_files.hpp"
#include "engine/store/checkpointer.hpp"
#include "engine/store/description.hpp"
#include "engine/store/shared_state.hpp"

namespace dvec::store {

// Run by the one party that links and takes checkpoints, which may do both between the steps. After
// an error, or when the compaction is not wanted any more, destroying the compactor leaves
// everything as it was before.
class Compactor {
  public:
    // Creates the new files. All references must outlive the compactor. Memory: 4 bytes per live
    // node beside what a linker takes; and the files themselves are in memory while they take
    // `memory` bytes at most, until little is left to do.
    static base::Result<std::unique_ptr<Compactor>> begin(base::FileSystem &file_system,
                                                          const Description &description,
                                                          SharedState &state, Locks locks,
                                                          unsigned threads,
                                                          std::uint64_t memory = 0);
    // Removes the new files unless they have become the index's.
    ~Compactor();

    // Does a piece of the work: copies and links up to `limit` nodes. True when so little is left
    // that finish() is due; by then most of the new files is on disk. Code::interrupted when `stop`
    // became true, which may be the end of the compaction as well; Code::corrupt when a node turns
    // out to be damaged.
    base::Result<bool> step(std::uint32_t limit, const std::atomic<bool> &stop);

    // Exchanges the files. `on_exchange` runs at the moment when ids change their meaning, under
    // the index's locks; it must not throw. Afterwards the party's own Maintainer is stale too.
    // After a failed sync the index must be given up.
    base::Status finish(WalFlusher &wal, const std::function<void()> &on_exchange);

    // How many of the nodes below `old_id` were copied; these nodes have the first ids of the new
    // files.
    std::uint32_t copied_below(std::uint32_t old_id) const noexcept;

  private:
    Compactor(base::FileSystem &file_system, const Description &description,
              const distance::Kernel &kernel, SharedState &state, Locks locks,
              std::uint64_t memory);

    base::Status open(const distance::Kernel &kernel, unsigned threads);
    base::Status copy_until(std::uint32_t end, const std::atomic<bool> &stop);
    base::Status copy(std::uint32_t id, const std::atomic<bool> &stop);
    template <class Do>
    base::Status with_room(const std::atomic<bool> &stop, const Do &apply);
    base::Status move_files(const std::atomic<bool> &stop);
    base::Status link(std::uint32_t limit, const std::atomic<bool> &stop);
    bool little_is_left() const noexcept;
    void note_progress(std::uint32_t linked_before) noexcept;
    base::Status begin_log();
    void carry_deletions_over() noexcept;
    base::Status write_checkpoint();
    void exchange(const std::function<void()> &on_exchange) noexcept;

    base::FileSystem &file_system_;
    const Description description_;
    SharedState &state_;
    Locks locks_;
    const std::uint64_t old_generation_;
    const std::uint64_t new_generation_;
    const graph::NodeStore::Params new_params_;
    BuildFiles files_;
    bool created_ = false;
    bool exchanged_ = false;

    std::unique_ptr<graph::NodeStore> old_nodes_;
    graph::SharedState graph_{};  // of the new files
    std::unique_ptr<graph::NodeStore> nodes_;
    std::unique_ptr<graph::Linker> linker_;
    std::uint32_t next_ = 0;             // ids below were looked at
    std::vector<std::uint32_t> origin_;  // by new id, ascending: the id it had
};

}  // namespace dvec::store
