// Everything the processes that use one index share from moment to moment, and the locks they take.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/base/mutex.hpp"
#include "engine/graph/recall_curve.hpp"
#include "engine/graph/shared_state.hpp"
#include "engine/log/shared_state.hpp"
#include "engine/store/repair.hpp"

namespace dvec::store {

// The state of the compaction under way (Compactor); all zero while there is none.
struct CompactionState {
    std::atomic<std::uint32_t> done;  // nodes that the new files have, linked
    std::atomic<std::uint32_t> left;  // nodes to be looked at or to be linked, as of its last step
    // While half of the nodes or more are deleted, ids from here on must not be given out yet.
    std::atomic<std::uint32_t> admitted;
};

// All zero before the index is opened or created.
struct SharedState {
    graph::SharedState graph;
    log::SharedState log;

    // 1 while the checkpoint on disk says "clean": nothing was written since. The first writer
    // clears it on disk, durably, before it writes anything else.
    std::atomic<std::uint32_t> clean;

    // The generation of the node files in use; 0 while they are being replaced. A process that has
    // mapped the files of another generation has to open the index again (Code::stale).
    std::atomic<std::uint64_t> generation;

    // Changed under both locks whenever all processes that have the index open must open it again
    // although its files may have the same generation as before: when it is being repaired, or was
    // built anew.
    std::atomic<std::uint64_t> incarnation;

    // S, for the next checkpoint: an LSN below which every heap insert by a transaction that has
    // ended is in the index (and durable once that checkpoint is taken). 0: not known.
    std::atomic<std::uint64_t> reconcile_lsn;

    // What has to be done before every row is in the index again. This is part of every checkpoint,
    // so that a repair is repeated when a crash interrupts it.
    std::atomic<Repair> repair;

    // 1 when links may hold anything, as after a power loss. Searches can cope with that, a linker
    // cannot.
    std::atomic<std::uint32_t> links_unsound;

    // How many nodes were linked when it was last made sure that links lead to all of them; 0:
    // never.
    std::atomic<std::uint32_t> connected;

    // 1 when nodes were marked deleted that the log had no space to mention: only the next
    // checkpoint makes that durable.
    std::atomic<std::uint32_t> unlogged_removals;

    // Ids in [scrub_next, scrub_end) are still to be verified (Maintainer::scrub).
    std::atomic<std::uint32_t> scrub_next;
    std::atomic<std::uint32_t> scrub_end;

    // The server start that uses the index (WalHistory::current_start); part of every checkpoint.
    std::atomic<std::uint64_t> server_start;

    // Where the log of the last checkpoint begins; nothing older is needed.
    std::atomic<std::uint64_t> checkpoint_position;
    std::atomic<std::uint32_t> checkpoint_linked;  // and how many nodes it has as linked

    CompactionState compaction;

    // 1 when a search has asked how wide it has to be for a target (since the index was opened).
    std::atomic<std::uint32_t> recall_wanted;
    // What was measured of that; derived from the graph, and no part of a checkpoint.
    graph::SharedRecallCurve recall;
};

// Whether a session that wants to add a row has to wait for the compaction under way. It has to
// when at least half of the nodes are deleted and as many rows were added as the compaction has
// admitted. Otherwise, where rows are deleted as fast as others are added, the compaction would
// never end while the files grow. False while no compaction is under way.
bool outruns_compaction(const SharedState &state) noexcept;

// Clears the state of a compaction. To be called when nobody compacts: a party that was ended may
// have left its state behind.
void end_compaction(SharedState &state) noexcept;

// Sets the state to all zero again. Others may read it meanwhile: they see each word as it was
// before or as zero.
void reset(SharedState &state) noexcept;

// Order when both are needed: grow before append. `append` is held for the copy of one record;
// `grow` while files are extended or the checkpoint file is written; `sync` while the log is synced
// (log::Writer::sync says why), and no other is taken under it.
struct Locks {
    base::Mutex &append;
    base::Mutex &grow;
    base::Mutex &sync;
};

}  // namespace dvec::store
