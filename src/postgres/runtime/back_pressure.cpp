// A worker can be missing, stopped, or stuck. A session notices that by waiting without seeing
// progress. It remembers where the worker stood, so that it does not wait as long again before
// every row.
#include "postgres/runtime/back_pressure.hpp"

#include "engine/store/maintainer.hpp"
#include "postgres/bridge/cleanup.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/runtime/log_sync.hpp"
#include "postgres/runtime/repair_state.hpp"
#include "postgres/runtime/session_checkpoint.hpp"
#include "postgres/runtime/settings.hpp"

namespace dvec::postgres {

namespace {

// How long a session sleeps before it looks again, unless it is woken; how long it waits for a
// worker that makes no progress; and how long it then waits to be able to do the worker's work.
constexpr long recheck_ms = 10;
constexpr int patience_ms = 5000;
constexpr int longest_hindrance_ms = 30000;

// An index counts as being searched for this long after a search began.
constexpr int searched_ms = 1000;
constexpr uint64 share_while_searched = 8;

// A VACUUM waits for the compaction when at least this share of the entries are deleted. Below it
// the files, with the space they keep in reserve, take less than twice the space of the live
// entries.
constexpr double most_left_by_vacuum = 0.4;

// Fewer deleted entries are not worth a compaction.
constexpr uint64 least_compacted = 256;

constexpr uint64 bytes_of(int kb) { return static_cast<uint64>(kb) * 1024; }

bool tail_too_long(const OpenIndex &open) {
    const uint64 tail = uint64{open.index->tail()} * open.index->vector_bytes();
    // This is called for every row, so the clock is read only where it matters.
    return tail > bytes_of(settings::tail_limit_kb) / share_while_searched &&
           tail > tail_limit(*open.entry, GetCurrentTimestamp());
}

bool too_much_unsynced(const OpenIndex &open) {
    const log::SharedState &log = open.entry->shared.log;
    // The lower position is read first: it never passes the head, which only grows.
    const uint64 synced = log.synced.load(std::memory_order_acquire);
    return log.head.load(std::memory_order_acquire) - synced >
           bytes_of(settings::log_buffer_limit_kb);
}

bool log_too_long(const OpenIndex &open) {
    const store::SharedState &shared = open.entry->shared;
    const uint64 needed = shared.checkpoint_position.load(std::memory_order_acquire);
    return shared.log.head.load(std::memory_order_acquire) - needed >
           bytes_of(settings::log_max_size_kb);
}

// ---- Waiting for the worker ------------------------------------------------------------------

// How far the worker has come with an index. Checkpoints do not count, since sessions take some
// themselves, and a wait for a checkpoint ends with it anyway.
struct Progress {
    IndexEntry *entry;
    uint64 incarnation;
    uint32 linked;
    uint32 compacted;
    bool operator==(const Progress &) const = default;
};

Progress progress_of(const OpenIndex &open) {
    const store::SharedState &shared = open.entry->shared;
    return {open.entry, open.incarnation, shared.graph.linked.load(),
            shared.compaction.done.load()};
}

// Where the worker stood when this session last waited in vain.
Progress stuck_at{};

WaitFor wait_for(WorkerDebt debt) {
    switch (debt) {
        case WorkerDebt::linking:
            return WaitFor::linking;
        case WorkerDebt::compaction:
            return WaitFor::compaction;
        case WorkerDebt::checkpoint:
            break;
    }
    return WaitFor::checkpoint;
}

// One session's wait for one index.
class Wait {
  public:
    Wait(const OpenIndex &open, WorkerDebt debt)
        : open_(open),
          event_(wait_event(wait_for(debt))),
          seen_(progress_of(open)),
          begin_(GetCurrentTimestamp()),
          patient_(seen_ != stuck_at) {
        ConditionVariablePrepareToSleep(&open.entry->progress);
    }

    // Whether the index is still the one that was opened. If it is being repaired meanwhile it has
    // to be opened again, which waits for the repair.
    bool meaningful() const { return in_use(*open_.entry, open_.incarnation); }

    // Whether there is a worker, and it was seen to make progress not long ago.
    bool worthwhile() const { return patient_ && worker_runs(); }

    bool longer_than(int milliseconds) const {
        return TimestampDifferenceExceeds(begin_, GetCurrentTimestamp(), milliseconds);
    }

    void sleep() {
        wake_worker();
        ConditionVariableTimedSleep(&open_.entry->progress, recheck_ms, event_);
        const Progress now = progress_of(open_);
        if (now != seen_) {
            seen_ = now;
            begin_ = GetCurrentTimestamp();
            patient_ = true;
        } else if (patient_ && longer_than(patience_ms)) {
            stuck_at = seen_;
            patient_ = false;
        }
    }

    // Not a destructor, since an interrupt leaves by longjmp. In that case the server cancels the
    // sleep itself.
    static void end() { ConditionVariableCancelSleep(); }

  private:
    const OpenIndex &open_;
    uint32 event_;
    Progress seen_;
    TimestampTz begin_;  // when the wait began, or progress was last seen
    bool patient_;
};

struct ShownWait {
    IndexEntry *entry;
    WorkerDebt debt;
    Stopwatch time;
};

void stop_showing_wait(int, Datum argument) {
    const auto *wait = reinterpret_cast<ShownWait *>(DatumGetPointer(argument));
    wait->entry->waiting.fetch_sub(1);
    wait->entry->counters.waits[static_cast<std::size_t>(wait->debt)].add(
        1, wait->time.microseconds());
}

// Shows in dvec_indexes what the session waits for while `body` runs, however that ends.
template <class Body>
void with_wait_shown(IndexEntry *entry, WorkerDebt debt, Body &&body) {
    entry->waiting_for.store(debt);
    entry->waits.fetch_add(1);
    entry->waiting.fetch_add(1);
    ShownWait wait{entry, debt, {}};
    with_error_cleanup(stop_showing_wait, PointerGetDatum(&wait), std::forward<Body>(body));
    stop_showing_wait(0, PointerGetDatum(&wait));
}

// The row is safe in the heap, and the tail is searched however long it is. So the session goes on
// when there is no worker to wait for, or when the worker is not seen to make progress.
template <class Behind>
void wait_while(const OpenIndex &open, WorkerDebt debt, Behind &&behind) {
    if (!behind(open))
        return;
    with_wait_shown(open.entry, debt, [&] {
        Wait wait(open, debt);
        while (behind(open) && wait.meaningful() && wait.worthwhile())
            wait.sleep();
        Wait::end();
    });
}

bool compaction_outrun(const OpenIndex &open) {
    return store::outruns_compaction(open.entry->shared);
}

// ---- The worker's checkpoint, taken by a session ---------------------------------------------

// Takes a checkpoint, unless the worker is working on the index: nothing may be linked meanwhile.
// Returns whether it could.
bool checkpoint_in_its_place(OpenIndex *open) {
    if (!open->entry->maintenance_lock.try_lock())
        return false;
    PendingError error;
    // Another session may have taken one meanwhile, or the index may have been opened anew.
    if (in_use(*open->entry, open->incarnation) && log_too_long(*open))
        error = pending_error(take_checkpoint(open->entry, store::CheckpointKind::running));
    open->entry->maintenance_lock.unlock();
    if (!error)
        return true;
    if (error.sqlstate == ERRCODE_IO_ERROR)
        give_up(open->entry, open->incarnation);
    raise_error(error);
}

void raise_log_too_long(const IndexFile &file) {
    ereport(ERROR,
            (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
             errmsg("sidecar log of hnsw index %u/%u/%u exceeds dvec.log_max_size (%d kB)",
                    file.tablespace, file.database, file.number, settings::log_max_size_kb),
             errdetail("The dvec worker is at work on the index but makes no progress, so no "
                       "checkpoint can be taken."),
             errhint("See whether the dvec worker is stopped or its disk does not respond, or "
                     "increase dvec.log_max_size.")));
}

// Unlike the tail, the log takes disk space that is not released until a checkpoint, so its limit
// is enforced.
void wait_for_checkpoint(OpenIndex *open) {
    if (!log_too_long(*open))
        return;
    with_wait_shown(open->entry, WorkerDebt::checkpoint, [open] {
        Wait wait(*open, WorkerDebt::checkpoint);
        while (log_too_long(*open) && wait.meaningful()) {
            if (!wait.worthwhile() && checkpoint_in_its_place(open))
                break;
            if (wait.longer_than(longest_hindrance_ms))
                raise_log_too_long(open->entry->file);
            wait.sleep();
        }
        Wait::end();
    });
}

}  // namespace

uint64 tail_limit(const IndexEntry &entry, TimestampTz now) {
    const auto last_scan = static_cast<TimestampTz>(entry.last_scan.load());
    const bool searched = !TimestampDifferenceExceeds(last_scan, now, searched_ms);
    return bytes_of(settings::tail_limit_kb) / (searched ? share_while_searched : 1);
}

bool is_compaction_due(const IndexEntry &entry) {
    const graph::SharedState &graph = entry.shared.graph;
    const uint64 deleted = graph.deleted.load();
    return settings::compact_threshold > 0 && deleted >= least_compacted &&
           deleted * 100 >=
               uint64{graph.allocated.load()} * static_cast<uint64>(settings::compact_threshold);
}

void wait_for_compaction(const OpenIndex &open) {
    wait_while(open, WorkerDebt::compaction, [](const OpenIndex &index) {
        const graph::SharedState &graph = index.entry->shared.graph;
        return is_compaction_due(*index.entry) &&
               graph.deleted.load() >= most_left_by_vacuum * graph.allocated.load();
    });
}

void wait_before_insert(OpenIndex *open) {
    wait_while(*open, WorkerDebt::linking, tail_too_long);
    wait_while(*open, WorkerDebt::compaction, compaction_outrun);
    wait_before_logging(open);
}

void wait_before_logging(OpenIndex *open) {
    // The worker syncs at a lower threshold. A session that writes faster than it does syncs the
    // log itself.
    if (too_much_unsynced(*open))
        sync_log(*open);
    wait_for_checkpoint(open);
}

}  // namespace dvec::postgres
