// Each ready index has a MaintainedIndex here, with the engine's Maintainer for it and the times at
// which work is due. It is dropped as soon as the registry entry is free or belongs to another
// index.
#include "postgres/worker/index_maintenance.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include "engine/base/never_destroyed.hpp"
#include "engine/store/compactor.hpp"
#include "engine/store/link_delay.hpp"
#include "engine/store/link_pace.hpp"
#include "engine/store/maintainer.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/runtime/back_pressure.hpp"
#include "postgres/runtime/entry_eviction.hpp"
#include "postgres/runtime/following.hpp"
#include "postgres/runtime/open_index.hpp"
#include "postgres/runtime/registry.hpp"
#include "postgres/runtime/repair_state.hpp"
#include "postgres/runtime/session_checkpoint.hpp"
#include "postgres/runtime/settings.hpp"
#include "postgres/runtime/wal.hpp"
#include "postgres/worker/reconcile_lsn.hpp"

namespace dvec::postgres {

namespace {

// Nodes linked in one turn, at most (LinkPace says how many).
constexpr uint32 nodes_per_turn = 2048;
// A compaction gets two thirds of the worker's time, in pieces after which waiting sessions see its
// progress. So it ends however many rows are added, since inserting sessions wait for the linking.
constexpr uint32 nodes_beside_compaction = nodes_per_turn / 2;
constexpr uint32 nodes_per_piece = 256;
// A row added during a compaction would be linked twice. So it stays in the tail until the new
// files are there, as long as the tail takes no more than this share of its limit, which costs
// searches little.
constexpr uint64 tail_share_while_compacting = 4;
// After a failure an index is left alone for this long.
constexpr long retry_ms = 5000;
// The memory for linking is released when an index had no new rows for this long.
constexpr long relax_after_ms = 30000;
// Verifying is some hundred nanoseconds per node.
constexpr uint32 scrubs_per_turn = 8192;
// Of a recall curve, while there is other work.
constexpr std::chrono::milliseconds measuring_per_turn{20};
// A compaction that failed is not tried again at once.
constexpr long compact_again_ms = 60000;
constexpr long longest_sleep_ms = 5000;
// During a burst of inserts, which fills the log fast.
constexpr long look_again_ms = 2;
// The pause until the next turn of an index that another process wants to work on.
constexpr long let_others_ms = 1;

struct MaintainedIndex {
    IndexEntry *entry = nullptr;
    uint64 incarnation = 0;
    std::unique_ptr<EntryLocks> locks;
    std::unique_ptr<store::Maintainer> maintainer;
    std::unique_ptr<store::Compactor> compactor;  // while one is under way
    store::LinkDelay delay;
    store::LinkPace pace;
    bool waits = false;  // with linking, for the end of a burst or a compaction
    TimestampTz last_flush = 0;
    TimestampTz last_checkpoint = 0;
    XLogRecPtr noted_lsn = 0;  // S, in the last checkpoint that was taken here
    TimestampTz last_link = 0;
    TimestampTz retry_at = 0;
    TimestampTz compact_at = 0;
};

std::vector<MaintainedIndex> &maintained_indexes() noexcept {
    static base::NeverDestroyed<std::vector<MaintainedIndex>> list;
    return *list;
}

// The incarnation that was last added here, by entry. An array, since there may be thousands.
uint64 &maintained_incarnation(const IndexEntry &entry) {
    static auto *incarnations =
        new std::vector<uint64>(static_cast<std::size_t>(registry()->capacity));
    return (*incarnations)[static_cast<std::size_t>(&entry - registry()->entries)];
}

// Whether the entry is that of an index which is ready and not maintained yet.
bool is_new(const IndexEntry &entry) {
    const uint64 incarnation = entry.incarnation.load(std::memory_order_acquire);
    return in_use(entry, incarnation) && maintained_incarnation(entry) != incarnation;
}

// Milliseconds from now until `since` + `interval`, at least 0.
long until(TimestampTz since, long interval, TimestampTz now) {
    return std::max(0L, interval - TimestampDifferenceMilliseconds(since, now));
}

void add_index(IndexEntry *entry, uint64 incarnation, TimestampTz now) {
    MaintainedIndex index;
    index.entry = entry;
    index.incarnation = incarnation;
    index.locks = std::make_unique<EntryLocks>(*entry);
    index.last_flush = index.last_checkpoint = index.last_link = now;
    store::end_compaction(entry->shared);
    maintained_indexes().push_back(std::move(index));
    maintained_incarnation(*entry) = incarnation;
}

void drop_indexes_not_in_use() {
    std::erase_if(maintained_indexes(), [](const MaintainedIndex &index) {
        return !in_use(*index.entry, index.incarnation);
    });
}

void add_new_indexes(TimestampTz now) {
    for (IndexEntry &entry : known_entries())
        if (is_new(entry))
            add_index(&entry, entry.incarnation.load(), now);
}

enum class FailedSync : unsigned char { possible, impossible };

// Reports a failure; returns whether there was none.
bool settle(MaintainedIndex &index, const base::Status &status, FailedSync failed_sync,
            TimestampTz now) {
    if (status.ok())
        return true;
    // Failures of an index that was dropped or rebuilt meanwhile do not count, since its files are
    // gone.
    if (status.code() == base::Code::interrupted || !in_use(*index.entry, index.incarnation))
        return false;
    report(WARNING, pending_error(status));
    index.retry_at = TimestampTzPlusMilliseconds(now, retry_ms);
    if (failed_sync == FailedSync::possible && status.code() == base::Code::io_error)
        give_up(index.entry, index.incarnation);
    return false;
}

base::Status open_files(MaintainedIndex &index) {
    auto maintainer = open_files_of(index.entry, *index.locks, store::Maintainer::open,
                                    static_cast<unsigned>(settings::link_threads));
    DVEC_TRY(maintainer);
    index.maintainer = std::move(maintainer).value();
    return {};
}

// Whether its files are open, now at least, and may be worked on.
bool ready_to_maintain(MaintainedIndex &index, TimestampTz now) {
    if (index.retry_at > now)
        return false;
    return index.maintainer || settle(index, open_files(index), FailedSync::impossible, now);
}

void flush_when_due(MaintainedIndex &index, TimestampTz now) {
    const uint64 unsynced = index.maintainer->unsynced_log_bytes();
    if (unsynced == 0) {
        index.last_flush = now;
        return;
    }
    if (unsynced < static_cast<uint64>(settings::log_flush_threshold_kb) * 1024 &&
        until(index.last_flush, settings::log_flush_interval_ms, now) > 0)
        return;
    const Stopwatch time;
    if (settle(index, index.maintainer->sync_log(), FailedSync::possible, now)) {
        index.entry->counters.syncs.add(1, time.microseconds());
        ConditionVariableBroadcast(&index.entry->progress);
    }
    index.last_flush = now;
}

// Done while rows are being inserted, but not at the expense of linking. If a segment cannot be
// made, nothing is lost.
void preallocate(MaintainedIndex &index, TimestampTz now) {
    if (index.maintainer->unsynced_log_bytes() > 0 &&
        (index.waits || !index.maintainer->has_tail()))
        (void)settle(index, index.maintainer->preallocate(), FailedSync::impossible, now);
}

// After a crash the nodes linked since the checkpoint are linked anew, which degrades the links of
// the others. So a checkpoint is due when they are an eighth of the graph. Very small graphs are
// not worth it.
uint32 most_relinking(const store::SharedState &state) {
    return state.checkpoint_linked.load() / 8 + 20000;
}

// A standby that is started again reads WAL from S on, which has to be there, and not to be longer
// than the table. S moves on, whether the index changes or not.
bool lags_with_reconcile_lsn(const MaintainedIndex &index) {
    return index.entry->following.on.load() != 0 &&
           index.entry->shared.reconcile_lsn.load() >= index.noted_lsn + most_unread_wal;
}

bool checkpoint_due(const MaintainedIndex &index, TimestampTz now) {
    const uint64 replay = index.maintainer->replay_bytes();
    const uint32 relink = index.maintainer->relink_nodes();
    if (index.entry->checkpoints_wanted.load() > 0)
        return true;
    if (replay == 0 && relink == 0 && !index.maintainer->has_large_log() &&
        !lags_with_reconcile_lsn(index))
        return false;
    return replay >= settings::checkpoint_bytes() ||
           relink >= most_relinking(index.maintainer->state()) ||
           until(index.last_checkpoint, settings::checkpoint_timeout_s * 1000L, now) == 0;
}

void note_checkpoint(MaintainedIndex &index, TimestampTz now, const Stopwatch &time) {
    index.last_checkpoint = now;
    if (index.entry->checkpoints_wanted.load() > 0)
        index.entry->checkpoints_wanted.fetch_sub(1);
    note_checkpoint(index.entry, now, time.microseconds());
    ConditionVariableBroadcast(&index.entry->progress);
}

// Must be current before any checkpoint begins, including those taken by sessions. Never moves it
// backwards: a build or repair may have set a higher value than safe_reconcile_lsn, which begins at
// 0.
void carry_reconcile_lsn(MaintainedIndex &index) {
    std::atomic<uint64> &reconcile_lsn = index.entry->shared.reconcile_lsn;
    if (index.entry->following.on.load() != 0) {
        reconcile_lsn.store(followed_to(*index.entry).safe);
        return;
    }
    if (RecoveryInProgress())
        return;
    reconcile_lsn.store(std::max<uint64>(reconcile_lsn.load(), safe_reconcile_lsn()));
}

void checkpoint(MaintainedIndex &index, store::CheckpointKind kind, TimestampTz now) {
    ServerWalFlusher wal;
    index.last_checkpoint = now;
    const XLogRecPtr reconcile_lsn = index.entry->shared.reconcile_lsn.load();
    const Stopwatch time;
    if (!settle(index, index.maintainer->checkpoint(wal, kind), FailedSync::possible, now))
        return;
    index.noted_lsn = reconcile_lsn;
    note_checkpoint(index, now, time);
}

// ---- What an unclean start leaves to do ------------------------------------------------------

// Returns whether there is more to verify.
bool scrub_some(MaintainedIndex &index, TimestampTz now) {
    if (!index.maintainer->has_to_scrub())
        return false;
    auto damaged = index.maintainer->scrub(scrubs_per_turn);
    if (!damaged.ok())
        return settle(index, damaged.status(), FailedSync::impossible, now);
    for (const store::Maintainer::Damaged &place : damaged.value())
        report(WARNING, pending_error({base::Code::corrupt,
                                       "node " + std::to_string(place.node) +
                                           " is damaged at offset " + std::to_string(place.offset) +
                                           " of file \"" + place.file + "\""}));
    index.entry->damage.fetch_add(damaged.value().size());
    if (!damaged.value().empty()) {
        request_repair(index.entry, index.incarnation, store::Repair::every_page,
                       "damaged nodes were found");
        return false;
    }
    return index.maintainer->has_to_scrub();
}

void sanitize_links(MaintainedIndex &index, const std::atomic<bool> &stop, TimestampTz now) {
    (void)settle(index, index.maintainer->sanitize_links(stop), FailedSync::impossible, now);
}

// ---- Compaction ------------------------------------------------------------------------------

// Ends the attempt, with or without success.
bool settle_compaction(MaintainedIndex &index, const base::Status &status, FailedSync failed_sync,
                       TimestampTz now) {
    if (status.ok())
        return true;
    if (status.code() == base::Code::interrupted)
        return false;
    index.compactor.reset();
    index.compact_at = TimestampTzPlusMilliseconds(now, compact_again_ms);
    if (status.code() == base::Code::corrupt)
        request_repair(index.entry, index.incarnation, store::Repair::every_page,
                       "damaged nodes were found");
    return settle(index, status, failed_sync, now);
}

void begin_compaction(MaintainedIndex &index, TimestampTz now) {
    auto compactor = open_files_of(index.entry, *index.locks, store::Compactor::begin,
                                   static_cast<unsigned>(settings::link_threads),
                                   settings::build_memory_bytes());
    if (!compactor.ok())
        (void)settle_compaction(index, compactor.status(), FailedSync::impossible, now);
    else
        index.compactor = std::move(compactor).value();
}

void finish_compaction(MaintainedIndex &index, TimestampTz now) {
    ServerWalFlusher wal;
    const Stopwatch time;
    IndexEntry *entry = index.entry;
    const base::Status status = index.compactor->finish(wal, [&index, entry] {
        entry->rebuilt_nodes.store(index.compactor->copied_below(entry->rebuilt_nodes.load()));
    });
    if (!settle_compaction(index, status, FailedSync::possible, now))
        return;
    index.compactor.reset();
    // The Maintainer has the former files open.
    index.maintainer.reset();
    entry->compactions.fetch_add(1);
    entry->counters.compactions.add(1, 0);
    note_checkpoint(index, now, time);
}

// Returns whether there is more to do.
bool compact_pieces(MaintainedIndex &index, const std::atomic<bool> &stop, TimestampTz now) {
    for (uint32 done = 0; done < nodes_per_turn; done += nodes_per_piece) {
        auto nearly_done = index.compactor->step(nodes_per_piece, stop);
        ConditionVariableBroadcast(&index.entry->progress);
        if (!nearly_done.ok())
            return settle_compaction(index, nearly_done.status(), FailedSync::impossible, now);
        if (nearly_done.value()) {
            finish_compaction(index, now);
            break;
        }
    }
    return true;
}

// Does a piece of the work, if there is any. Returns whether there is more.
bool compact_some(MaintainedIndex &index, const std::atomic<bool> &stop, TimestampTz now) {
    if (!index.compactor) {
        if (index.compact_at > now || !is_compaction_due(*index.entry))
            return false;
        begin_compaction(index, now);
        return index.compactor != nullptr;
    }
    const Stopwatch time;
    const bool more = compact_pieces(index, stop, now);
    index.entry->counters.compactions.add(0, time.microseconds());
    return more;
}

// ---- What searches are told, and the rows that they are to find -------------------------------

// Measures a piece of the recall curve that searches have asked for. Returns whether there is more
// to do. A compaction is about to make another graph.
bool measure_some(MaintainedIndex &index, const std::atomic<bool> &stop, TimestampTz now) {
    if (index.compactor || index.waits || !index.maintainer->has_to_measure_recall())
        return false;
    return settle(index, index.maintainer->measure_recall(measuring_per_turn, stop),
                  FailedSync::impossible, now) &&
           index.maintainer->has_to_measure_recall();
}

bool tail_can_wait(MaintainedIndex &index, TimestampTz now) {
    const uint64 tail = index.maintainer->tail_bytes();
    const uint64 limit = tail_limit(*index.entry, now);
    if (index.compactor && tail < limit / tail_share_while_compacting)
        return true;
    return index.delay.should_wait({now, index.entry->shared.graph.allocated.load(), tail, limit});
}

// Links a piece of the tail. Returns whether there is more to do at once.
bool link_some(MaintainedIndex &index, const std::atomic<bool> &stop, TimestampTz now) {
    index.waits = false;
    if (!index.maintainer->has_tail()) {
        if (until(index.last_link, relax_after_ms, now) == 0)
            index.maintainer->relax();
        return false;
    }
    index.last_link = now;
    index.waits = tail_can_wait(index, now);
    if (index.waits)
        return false;
    const uint32 limit =
        index.pace.nodes(index.compactor ? nodes_beside_compaction : nodes_per_turn);
    const std::atomic<uint32> &linked = index.entry->shared.graph.linked;
    const uint32 before = linked.load();
    const Stopwatch time;
    const base::Status status = index.maintainer->link(limit, stop);
    index.entry->counters.links.add(linked.load() - before, time.microseconds());
    index.pace.note(linked.load() - before, static_cast<int64>(time.microseconds()));
    if (!settle(index, status, FailedSync::impossible, now))
        return false;
    ConditionVariableBroadcast(&index.entry->progress);
    return index.maintainer->has_tail();
}

// Codes links, or removes their codes, as searches want it. Returns whether there is more to do at
// once.
bool code_some(MaintainedIndex &index, store::Maintainer::Rest rest, TimestampTz now) {
    if (!index.maintainer->has_to_code_links(rest))
        return false;
    // It takes some tenths of a microsecond for each link of so many dimensions.
    constexpr uint32 usual_dimensions = 128;
    const uint32 dimensions = index.maintainer->description().dimensions;
    const uint32 nodes = nodes_per_turn * usual_dimensions / std::max(usual_dimensions, dimensions);
    return settle(index, index.maintainer->code_links(std::max(nodes, 1u)), FailedSync::impossible,
                  now) &&
           index.maintainer->has_to_code_links(rest);
}

store::Maintainer::Rest rest_of(const MaintainedIndex &index, TimestampTz now) {
    return until(index.last_link, relax_after_ms, now) == 0 ? store::Maintainer::Rest::lasting
                                                            : store::Maintainer::Rest::brief;
}

// Makes sure that links lead to every node, and that chains of twins lead to live ones, when it is
// time for that.
void keep_in_order(MaintainedIndex &index, const std::atomic<bool> &stop, TimestampTz now) {
    if (index.maintainer->has_to_tidy())
        (void)settle(index, index.maintainer->tidy(stop), FailedSync::impossible, now);
    if (index.maintainer->has_to_connect(rest_of(index, now)))
        (void)settle(index, index.maintainer->connect(stop), FailedSync::impossible, now);
}

// If the shared state of an index is invalid it cannot be corrected, so the index is rebuilt.
bool marks_possible(MaintainedIndex &index) {
    if (index.maintainer->has_possible_marks())
        return true;
    request_repair(index.entry, index.incarnation, store::Repair::rebuild,
                   "its watermarks are impossible");
    return false;
}

// Each kind of work gets its turn. Returns whether there is more.
bool work_in_pieces(MaintainedIndex &index, const std::atomic<bool> &stop, TimestampTz now) {
    sanitize_links(index, stop, now);
    bool more = link_some(index, stop, now);
    if (in_use(*index.entry, index.incarnation))
        keep_in_order(index, stop, now);
    if (in_use(*index.entry, index.incarnation) && code_some(index, rest_of(index, now), now))
        more = true;
    if (in_use(*index.entry, index.incarnation) && scrub_some(index, now))
        more = true;
    if (in_use(*index.entry, index.incarnation) && compact_some(index, stop, now))
        more = true;
    if (in_use(*index.entry, index.incarnation) && index.maintainer &&
        measure_some(index, stop, now))
        more = true;
    return more;
}

// Gives one index its turn; returns the milliseconds until it needs the next.
long maintain(MaintainedIndex &index, const std::atomic<bool> &stop) {
    // Waiting processes would not get the lock in the short time between two turns.
    if (index.entry->maintenance_lock.is_wanted())
        return let_others_ms;
    const Holding maintenance(index.entry->maintenance_lock);
    const TimestampTz now = GetCurrentTimestamp();
    if (!in_use(*index.entry, index.incarnation))
        return 0;
    if (!ready_to_maintain(index, now))
        return TimestampDifferenceMilliseconds(now, index.retry_at) + 1;
    if (!marks_possible(index))
        return 0;
    flush_when_due(index, now);
    preallocate(index, now);
    carry_reconcile_lsn(index);
    if (checkpoint_due(index, now))
        checkpoint(index, store::CheckpointKind::running, now);
    if (!stop.load() && work_in_pieces(index, stop, now))
        return 0;
    if (!index.maintainer)
        return 0;
    if (index.waits)
        return look_again_ms;
    return index.maintainer->unsynced_log_bytes() > 0
               ? until(index.last_flush, settings::log_flush_interval_ms, now) + 1
               : longest_sleep_ms;
}

}  // namespace

long maintain_all(const std::atomic<bool> &stop) {
    // Called in every round, so that a value is known when a checkpoint is due.
    if (!RecoveryInProgress())
        (void)safe_reconcile_lsn();
    keep_entries_free();
    drop_indexes_not_in_use();
    add_new_indexes(GetCurrentTimestamp());
    long sleep = longest_sleep_ms;
    for (MaintainedIndex &index : maintained_indexes())
        sleep = std::min(sleep, maintain(index, stop));
    return sleep;
}

bool maintenance_is_urgent() {
    const auto entries = known_entries();
    if (std::any_of(entries.begin(), entries.end(), is_new))
        return true;
    const TimestampTz now = GetCurrentTimestamp();
    return std::any_of(maintained_indexes().begin(), maintained_indexes().end(),
                       [now](const MaintainedIndex &index) {
                           return index.retry_at <= now &&
                                  (!index.maintainer || index.maintainer->has_tail());
                       });
}

void close_maintained_indexes() noexcept { maintained_indexes().clear(); }

void checkpoint_all_clean() {
    drop_indexes_not_in_use();
    const TimestampTz now = GetCurrentTimestamp();
    add_new_indexes(now);
    for (MaintainedIndex &index : maintained_indexes())
        if (index.entry->shared.clean.load() == 0 && ready_to_maintain(index, now) &&
            marks_possible(index)) {
            carry_reconcile_lsn(index);
            checkpoint(index, store::CheckpointKind::clean, now);
        }
}

}  // namespace dvec::postgres
