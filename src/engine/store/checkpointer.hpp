// Takes checkpoints: makes the graph files durable, then says so in the checkpoint file. Whatever
// has to record that its work is on disk (a build, a recovery, the worker's periodic checkpoint,
// the shutdown) does it here.
#pragma once

#include <cstdint>

#include "engine/base/file.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/store/checkpoint.hpp"
#include "engine/store/description.hpp"
#include "engine/store/shared_state.hpp"

namespace dvec::store {

class Index;

// PostgreSQL's side of a checkpoint: makes its WAL durable up to `lsn`, so that nothing the sidecar
// holds is ever ahead of the heap. Must not throw or longjmp; returns a failure instead.
class WalFlusher {
  public:
    virtual base::Status flush(std::uint64_t lsn) = 0;

  protected:
    ~WalFlusher() = default;
};

enum class CheckpointKind : std::uint8_t {
    running,  // the index stays in use
    clean     // nobody writes any more: the next start need not look at the log
};

// The parts of an index's state that change with every row. They must be read at one moment, under
// locks.append.
struct Mark {
    std::uint32_t nodes;
    std::uint32_t deleted;
    log::Position position;
    std::uint64_t max_lsn;
    std::uint64_t reconcile_lsn;
};
// `graph` belongs to the node files that the checkpoint is about: it is state.graph, or the state
// of files that are to replace the ones in use.
Mark mark(const SharedState &state, const graph::SharedState &graph) noexcept;

// Fills in all of a checkpoint record except what note_place() fills in. For node files that are
// not in use yet, the caller has to set generation, links_unsound and connected.
CheckpointRecord compose_record(const Description &description, const SharedState &state,
                                const graph::SharedState &graph, const Mark &mark);

// Names the boot, the mount and the file in which `nodes` were last written.
void note_place(base::FileSystem &file_system, const graph::NodeStore &nodes,
                CheckpointRecord *record);

// Run by the one party that links (nothing may be linked meanwhile; inserts and deletes go on).
// `nodes` is that party's mapping. After a failed sync the caller must give the index up for a
// rebuild. On success the log before checkpoint_position is no longer needed.
base::Status take_checkpoint(base::FileSystem &file_system, const Description &description,
                             SharedState &state, Locks locks, graph::NodeStore &nodes,
                             WalFlusher &wal, CheckpointKind kind);
// The same for an index that is open and stays in use; nobody may be linking.
base::Status take_checkpoint(Index &index, WalFlusher &wal);

// "Clean" on disk promises that the files hold nothing newer than the checkpoint. This takes the
// promise back, durably, and records the running boot and the mount as those on which the files are
// written. To be called before the first byte is stored in any file; a link counts, too. Cheap when
// the state is not clean. Takes locks.grow.
base::Status leave_clean_state(base::FileSystem &file_system, const Description &description,
                               SharedState &state, Locks locks);
// The same for a caller that holds locks.grow.
base::Status leave_clean_state_locked(base::FileSystem &file_system, const Description &description,
                                      SharedState &state);

}  // namespace dvec::store
