// Each index in use has a Ward here while it is ready: the engine's Maintainer for it, and when
// what is due. A ward is dropped as soon as the registry says that its index is another or gone.
#include "postgres/worker/index_maintenance.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "engine/base/never_destroyed.hpp"
#include "engine/store/burst.hpp"
#include "engine/store/compactor.hpp"
#include "engine/store/maintainer.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/runtime/back_pressure.hpp"
#include "postgres/runtime/entry_eviction.hpp"
#include "postgres/runtime/open_index.hpp"
#include "postgres/runtime/registry.hpp"
#include "postgres/runtime/repair_state.hpp"
#include "postgres/runtime/session_checkpoint.hpp"
#include "postgres/runtime/settings.hpp"
#include "postgres/runtime/wal.hpp"
#include "postgres/worker/reconcile_lsn.hpp"

extern "C" {
#include "utils/timestamp.h"
}

namespace dvec::postgres {

namespace {

// A bounded piece of linking, so that other indexes and the flushes get their turn.
constexpr uint32 nodes_per_turn = 2048;
// While a compaction is under way it gets two thirds of the time, in pieces that are told to those
// who wait for it. Then it comes to its end however many rows are added, since they wait for the
// linking.
constexpr uint32 nodes_beside_compaction = nodes_per_turn / 2;
constexpr uint32 nodes_per_piece = 256;
// A row that is added meanwhile is linked twice, unless the tail may wait for the new files. What
// part of its limit it may take until then costs searches little.
constexpr uint64 tail_share_while_compacting = 4;
// After a failure an index is left alone for this long.
constexpr long retry_ms = 5000;
// Linking memory of an index that had no new rows for this long is given back.
constexpr long relax_after_ms = 30000;
// Verifying is some hundred nanoseconds per node.
constexpr uint32 scrubs_per_turn = 8192;
// Fewer deleted nodes are not worth a compaction; and one that failed is not tried again at once.
constexpr uint32 least_compacted = 256;
constexpr long compact_again_ms = 60000;
constexpr long longest_sleep_ms = 5000;
// During a burst of inserts, which fills the log fast.
constexpr long look_again_ms = 2;
// When somebody else wants to work on an index, until its next turn.
constexpr long let_others_ms = 1;

struct Ward {
    IndexEntry *entry = nullptr;
    uint64 incarnation = 0;
    std::unique_ptr<EntryLocks> locks;
    std::unique_ptr<store::Maintainer> maintainer;
    std::unique_ptr<store::Compactor> compactor;  // while one is under way
    store::Burst burst;
    bool waits = false;  // with linking, for the end of a burst or a compaction
    TimestampTz last_flush = 0;
    TimestampTz last_checkpoint = 0;
    TimestampTz last_link = 0;
    TimestampTz retry_at = 0;
    TimestampTz compact_at = 0;
};

std::vector<Ward> &wards() noexcept {
    static base::NeverDestroyed<std::vector<Ward>> list;
    return *list;
}

// By entry, the incarnation of its latest ward: there may be thousands.
uint64 &maintained_incarnation(const IndexEntry &entry) {
    static auto *incarnations =
        new std::vector<uint64>(static_cast<std::size_t>(registry()->capacity));
    return (*incarnations)[static_cast<std::size_t>(&entry - registry()->entries)];
}

// Whether an index is ready that has no ward yet.
bool is_new(const IndexEntry &entry) {
    const uint64 incarnation = entry.incarnation.load(std::memory_order_acquire);
    return in_use(entry, incarnation) && maintained_incarnation(entry) != incarnation;
}

// Milliseconds from now until `since` + `interval`, at least 0.
long until(TimestampTz since, long interval, TimestampTz now) {
    return std::max(0L, interval - TimestampDifferenceMilliseconds(since, now));
}

void take_in(IndexEntry *entry, uint64 incarnation, TimestampTz now) {
    Ward ward;
    ward.entry = entry;
    ward.incarnation = incarnation;
    ward.locks = std::make_unique<EntryLocks>(*entry);
    ward.last_flush = ward.last_checkpoint = ward.last_link = now;
    store::end_compaction(entry->shared);
    wards().push_back(std::move(ward));
    maintained_incarnation(*entry) = incarnation;
}

void drop_wards_not_in_use() {
    std::erase_if(wards(), [](const Ward &ward) { return !in_use(*ward.entry, ward.incarnation); });
}

void take_in_new(TimestampTz now) {
    for (IndexEntry &entry : known_entries())
        if (is_new(entry))
            take_in(&entry, entry.incarnation.load(), now);
}

enum class FailedSync : unsigned char { possible, impossible };

// Reports a failure; returns whether there was none.
bool settle(Ward &ward, const base::Status &status, FailedSync failed_sync, TimestampTz now) {
    if (status.ok())
        return true;
    // An index that was dropped or built anew meanwhile has taken its files with it.
    if (status.code() == base::Code::interrupted || !in_use(*ward.entry, ward.incarnation))
        return false;
    report(WARNING, pending_error(status));
    ward.retry_at = TimestampTzPlusMilliseconds(now, retry_ms);
    if (failed_sync == FailedSync::possible && status.code() == base::Code::io_error)
        give_up(ward.entry, ward.incarnation);
    return false;
}

base::Status open_files(Ward &ward) {
    auto maintainer = store::Maintainer::open(base::posix_file_system(), describe(*ward.entry),
                                              ward.entry->shared, ward.locks->engine(),
                                              static_cast<unsigned>(settings::link_threads));
    if (!maintainer.ok())
        return std::move(maintainer).status();
    ward.maintainer = std::move(maintainer).value();
    return {};
}

// Whether the ward's index is open and may be worked on.
bool ready_to_care(Ward &ward, TimestampTz now) {
    if (ward.retry_at > now)
        return false;
    return ward.maintainer || settle(ward, open_files(ward), FailedSync::impossible, now);
}

void flush_when_due(Ward &ward, TimestampTz now) {
    const uint64 unsynced = ward.maintainer->unsynced_log_bytes();
    if (unsynced == 0) {
        ward.last_flush = now;
        return;
    }
    if (unsynced < static_cast<uint64>(settings::log_flush_threshold_kb) * 1024 &&
        until(ward.last_flush, settings::log_flush_interval_ms, now) > 0)
        return;
    if (settle(ward, ward.maintainer->sync_log(), FailedSync::possible, now))
        ConditionVariableBroadcast(&ward.entry->progress);
    ward.last_flush = now;
}

// As long as rows come, but not in the time for linking. A segment that could not be made has lost
// nothing.
void make_room_ahead(Ward &ward, TimestampTz now) {
    if (ward.maintainer->unsynced_log_bytes() > 0 && (ward.waits || !ward.maintainer->has_tail()))
        (void)settle(ward, ward.maintainer->make_room_ahead(), FailedSync::impossible, now);
}

// After a crash the nodes linked since the checkpoint are linked anew, and the links of the others
// are worn by so many. An eighth keeps the older graph good to search; very small graphs are not
// worth it.
uint32 most_relinking(const store::SharedState &state) {
    return state.checkpoint_linked.load() / 8 + 20000;
}

bool checkpoint_due(const Ward &ward, TimestampTz now) {
    const uint64 replay = ward.maintainer->replay_bytes();
    const uint32 relink = ward.maintainer->relink_nodes();
    if (ward.entry->checkpoints_wanted.load() > 0)
        return true;
    if (replay == 0 && relink == 0 && !ward.maintainer->has_large_log())
        return false;
    return replay >= settings::checkpoint_bytes() ||
           relink >= most_relinking(ward.maintainer->state()) ||
           until(ward.last_checkpoint, settings::checkpoint_timeout_s * 1000L, now) == 0;
}

void note_checkpoint(Ward &ward, TimestampTz now) {
    ward.last_checkpoint = now;
    if (ward.entry->checkpoints_wanted.load() > 0)
        ward.entry->checkpoints_wanted.fetch_sub(1);
    note_checkpoint(ward.entry, now);
    ConditionVariableBroadcast(&ward.entry->progress);
}

// Before a checkpoint begins, one that a session takes included. Never backwards: a build or a
// repair may know better than the horizon, which begins at 0.
void carry_horizon(Ward &ward) {
    std::atomic<uint64> &reconcile_lsn = ward.entry->shared.reconcile_lsn;
    reconcile_lsn.store(std::max<uint64>(reconcile_lsn.load(), safe_reconcile_lsn()));
}

void checkpoint(Ward &ward, store::CheckpointKind kind, TimestampTz now) {
    ServerWalFlusher wal;
    ward.last_checkpoint = now;
    if (!settle(ward, ward.maintainer->checkpoint(wal, kind), FailedSync::possible, now))
        return;
    note_checkpoint(ward, now);
}

// ---- What an unclean start leaves to do ------------------------------------------------------

// Returns whether there is more to verify.
bool scrub_some(Ward &ward, TimestampTz now) {
    if (!ward.maintainer->has_to_scrub())
        return false;
    auto damaged = ward.maintainer->scrub(scrubs_per_turn);
    if (!damaged.ok())
        return settle(ward, damaged.status(), FailedSync::impossible, now);
    for (const store::Maintainer::Damaged &place : damaged.value())
        report(WARNING, pending_error({base::Code::corrupt,
                                       "node " + std::to_string(place.node) +
                                           " is damaged at offset " + std::to_string(place.offset) +
                                           " of file \"" + place.file + "\""}));
    ward.entry->damage.fetch_add(damaged.value().size());
    if (!damaged.value().empty()) {
        request_repair(ward.entry, ward.incarnation, store::Repair::every_page,
                       "damaged nodes were found");
        return false;
    }
    return ward.maintainer->has_to_scrub();
}

void make_links_sound(Ward &ward, const std::atomic<bool> &stop, TimestampTz now) {
    (void)settle(ward, ward.maintainer->make_links_sound(stop), FailedSync::impossible, now);
}

// ---- Compaction ------------------------------------------------------------------------------

bool worth_compacting(const Ward &ward, TimestampTz now) {
    if (settings::compact_threshold == 0 || ward.compact_at > now)
        return false;
    const graph::SharedState &graph = ward.entry->shared.graph;
    const uint64 deleted = graph.deleted.load();
    return deleted >= least_compacted &&
           deleted * 100 >=
               uint64{graph.allocated.load()} * static_cast<uint64>(settings::compact_threshold);
}

// Ends the attempt, with or without success.
bool settle_compaction(Ward &ward, const base::Status &status, FailedSync failed_sync,
                       TimestampTz now) {
    if (status.ok())
        return true;
    if (status.code() == base::Code::interrupted)
        return false;
    ward.compactor.reset();
    ward.compact_at = TimestampTzPlusMilliseconds(now, compact_again_ms);
    if (status.code() == base::Code::corrupt)
        request_repair(ward.entry, ward.incarnation, store::Repair::every_page,
                       "damaged nodes were found");
    return settle(ward, status, failed_sync, now);
}

void begin_compaction(Ward &ward, TimestampTz now) {
    auto compactor = store::Compactor::begin(base::posix_file_system(), describe(*ward.entry),
                                             ward.entry->shared, ward.locks->engine(),
                                             static_cast<unsigned>(settings::link_threads));
    if (!compactor.ok())
        (void)settle_compaction(ward, compactor.status(), FailedSync::impossible, now);
    else
        ward.compactor = std::move(compactor).value();
}

void finish_compaction(Ward &ward, TimestampTz now) {
    ServerWalFlusher wal;
    IndexEntry *entry = ward.entry;
    const base::Status status = ward.compactor->finish(wal, [&ward, entry] {
        entry->rebuilt_nodes.store(ward.compactor->copied_below(entry->rebuilt_nodes.load()));
    });
    if (!settle_compaction(ward, status, FailedSync::possible, now))
        return;
    ward.compactor.reset();
    // It has the former files.
    ward.maintainer.reset();
    entry->compactions.fetch_add(1);
    note_checkpoint(ward, now);
}

// Does a piece of the work, if there is any. Returns whether there is more.
bool compact_some(Ward &ward, const std::atomic<bool> &stop, TimestampTz now) {
    if (!ward.compactor) {
        if (!worth_compacting(ward, now))
            return false;
        begin_compaction(ward, now);
        return ward.compactor != nullptr;
    }
    for (uint32 done = 0; done < nodes_per_turn; done += nodes_per_piece) {
        auto nearly_done = ward.compactor->step(nodes_per_piece, stop);
        ConditionVariableBroadcast(&ward.entry->progress);
        if (!nearly_done.ok())
            return settle_compaction(ward, nearly_done.status(), FailedSync::impossible, now);
        if (nearly_done.value()) {
            finish_compaction(ward, now);
            break;
        }
    }
    return true;
}

bool tail_can_wait(Ward &ward, TimestampTz now) {
    const uint64 tail = ward.maintainer->tail_bytes();
    const uint64 limit = tail_limit(*ward.entry, now);
    if (ward.compactor && tail < limit / tail_share_while_compacting)
        return true;
    return ward.burst.should_wait({now, ward.entry->shared.graph.allocated.load(), tail, limit});
}

// Links a piece of the tail. Returns whether there is more to do at once.
bool link_some(Ward &ward, const std::atomic<bool> &stop, TimestampTz now) {
    ward.waits = false;
    if (!ward.maintainer->has_tail()) {
        if (until(ward.last_link, relax_after_ms, now) == 0)
            ward.maintainer->relax();
        return false;
    }
    ward.last_link = now;
    ward.waits = tail_can_wait(ward, now);
    if (ward.waits)
        return false;
    const uint32 limit = ward.compactor ? nodes_beside_compaction : nodes_per_turn;
    if (!settle(ward, ward.maintainer->link(limit, stop), FailedSync::impossible, now))
        return false;
    ConditionVariableBroadcast(&ward.entry->progress);
    return ward.maintainer->has_tail();
}

// Makes sure that links lead to every node, and that chains of twins lead to live ones, when it is
// time for that.
void keep_in_order(Ward &ward, const std::atomic<bool> &stop, TimestampTz now) {
    using Rest = store::Maintainer::Rest;
    const Rest rest = until(ward.last_link, relax_after_ms, now) == 0 ? Rest::lasting : Rest::brief;
    if (ward.maintainer->has_to_tidy())
        (void)settle(ward, ward.maintainer->tidy(stop), FailedSync::impossible, now);
    if (ward.maintainer->has_to_connect(rest))
        (void)settle(ward, ward.maintainer->connect(stop), FailedSync::impossible, now);
}

// What others have written into an index's shared state cannot be put right, only be made anew.
bool marks_possible(Ward &ward) {
    if (ward.maintainer->has_possible_marks())
        return true;
    request_repair(ward.entry, ward.incarnation, store::Repair::rebuild,
                   "its watermarks are impossible");
    return false;
}

// Each kind of work gets its turn. Returns whether there is more.
bool work_in_pieces(Ward &ward, const std::atomic<bool> &stop, TimestampTz now) {
    make_links_sound(ward, stop, now);
    bool more = link_some(ward, stop, now);
    if (in_use(*ward.entry, ward.incarnation))
        keep_in_order(ward, stop, now);
    if (in_use(*ward.entry, ward.incarnation) && scrub_some(ward, now))
        more = true;
    if (in_use(*ward.entry, ward.incarnation) && compact_some(ward, stop, now))
        more = true;
    return more;
}

// Cares for one index; returns the milliseconds until it needs care again.
long care_for(Ward &ward, const std::atomic<bool> &stop) {
    // Those who wait would not get it in the moment between two turns.
    if (ward.entry->care_lock.is_wanted())
        return let_others_ms;
    const Holding care(ward.entry->care_lock);
    const TimestampTz now = GetCurrentTimestamp();
    if (!in_use(*ward.entry, ward.incarnation))
        return 0;
    if (!ready_to_care(ward, now))
        return TimestampDifferenceMilliseconds(now, ward.retry_at) + 1;
    if (!marks_possible(ward))
        return 0;
    flush_when_due(ward, now);
    make_room_ahead(ward, now);
    carry_horizon(ward);
    if (checkpoint_due(ward, now))
        checkpoint(ward, store::CheckpointKind::running, now);
    if (!stop.load() && work_in_pieces(ward, stop, now))
        return 0;
    if (!ward.maintainer)
        return 0;
    if (ward.waits)
        return look_again_ms;
    return ward.maintainer->unsynced_log_bytes() > 0
               ? until(ward.last_flush, settings::log_flush_interval_ms, now) + 1
               : longest_sleep_ms;
}

}  // namespace

long care_for_all(const std::atomic<bool> &stop) {
    // Asked for in every round, so that a value is there when a checkpoint is due.
    (void)safe_reconcile_lsn();
    keep_entries_free();
    drop_wards_not_in_use();
    take_in_new(GetCurrentTimestamp());
    long sleep = longest_sleep_ms;
    for (Ward &ward : wards())
        sleep = std::min(sleep, care_for(ward, stop));
    return sleep;
}

bool caretaker_has_urgent_work() {
    const auto entries = known_entries();
    if (std::any_of(entries.begin(), entries.end(), is_new))
        return true;
    const TimestampTz now = GetCurrentTimestamp();
    return std::any_of(wards().begin(), wards().end(), [now](const Ward &ward) {
        return ward.retry_at <= now && (!ward.maintainer || ward.maintainer->has_tail());
    });
}

void let_go_of_all() noexcept { wards().clear(); }

void close_all_clean() {
    drop_wards_not_in_use();
    const TimestampTz now = GetCurrentTimestamp();
    take_in_new(now);
    for (Ward &ward : wards())
        if (ward.entry->shared.clean.load() == 0 && ready_to_care(ward, now) &&
            marks_possible(ward)) {
            carry_horizon(ward);
            checkpoint(ward, store::CheckpointKind::clean, now);
        }
}

}  // namespace dvec::postgres
