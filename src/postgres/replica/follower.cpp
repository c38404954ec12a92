// One round: read the WAL that was replayed since the last one, and note to which pages of the
// followed tables rows have come; read those pages, and of tables whose first pass is not over the
// next ones; let everybody know. All that others see of it is in the registry
// (runtime/following.hpp), so a follower may die at any moment and another goes on.
//
// A page is read at a moment when replay has come at least as far as this process has read WAL. So
// whatever it has read before that moment is in the page, and whatever touches the page later will
// be read in a later round. That is why a page that was read is not behind any more, and why no
// position has to be kept for each.
#include "postgres/replica/follower.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

#include "engine/base/never_destroyed.hpp"
#include "postgres/bridge/cleanup.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/shared_memory.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/repair/wal_changes.hpp"
#include "postgres/replica/followed_index.hpp"
#include "postgres/runtime/back_pressure.hpp"
#include "postgres/runtime/registry.hpp"
#include "postgres/runtime/wal.hpp"

namespace dvec::postgres {

namespace {

// Of WAL, in one round, so that pages are read in between.
constexpr uint64 most_wal_at_once = uint64{4} << 20;
// So much of it is worth another round soon, whatever it is about: a search would have to read it.
constexpr uint64 much_wal = uint64{64} << 10;
// Pages that rows go on coming to are read again and again: not more often than this.
constexpr int gather_ms = 20;
// Vacuumed pages, between two readings of the others.
constexpr std::size_t vacuumed_at_once = 512;
// In one round, of a table's first pass.
constexpr int pieces_at_once = 16;
constexpr long shortest_nap_ms = 20;
constexpr long longest_nap_ms = 200;
constexpr int first_pause_ms = 1000;
constexpr int most_doublings = 6;

using FollowedIndexes = std::vector<std::unique_ptr<FollowedIndex>>;

FollowedIndexes &all_followed() noexcept {
    static base::NeverDestroyed<FollowedIndexes> list;
    return *list;
}

void put_off(FollowedIndex *followed) {
    followed->retry_at = TimestampTzPlusMilliseconds(
        GetCurrentTimestamp(),
        int64{first_pause_ms} << std::min(followed->failures, most_doublings));
    ++followed->failures;
}

// ---- What there is to follow ------------------------------------------------------------------

void drop_those_not_in_use() {
    std::erase_if(all_followed(), [](const std::unique_ptr<FollowedIndex> &followed) {
        return !in_use(*followed->entry(), followed->open.incarnation);
    });
}

bool is_followed_here(const IndexEntry &entry) {
    return std::any_of(all_followed().begin(), all_followed().end(),
                       [&entry](const std::unique_ptr<FollowedIndex> &followed) {
                           return followed->entry() == &entry;
                       });
}

Wanted wanted_here(const IndexEntry &entry, uint64 *incarnation) noexcept {
    LWLockAcquire(&registry()->lock, LW_SHARED);
    *incarnation = entry.incarnation.load();
    const Wanted wanted = entry.file.database == MyDatabaseId
                              ? wanted_for(entry, GetCurrentTimestamp())
                              : Wanted::nothing;
    LWLockRelease(&registry()->lock);
    return wanted;
}

void take_new() {
    for (IndexEntry &entry : known_entries()) {
        if (is_followed_here(entry))
            continue;
        uint64 incarnation;
        FollowedIndex *followed = nullptr;
        switch (wanted_here(entry, &incarnation)) {
            case Wanted::nothing:
                break;
            case Wanted::adoption:
                followed = adopt(&entry, incarnation);
                break;
            case Wanted::resumption:
                followed = resume(&entry, incarnation);
                break;
        }
        if (followed != nullptr)
            all_followed().emplace_back(followed);
    }
}

// ---- Reading WAL ------------------------------------------------------------------------------

void begin_again(FollowedIndex *followed) {
    followed->complete = false;
    followed->next_page = 0;
    followed->added_in_pass = 0;
    followed->behind.clear();
    followed->vacuumed.clear();
}

// Pages that the first pass has still to come to need not be remembered.
bool was_read(const FollowedIndex &followed, BlockNumber page) {
    return followed.complete || page < followed.next_page;
}

void note_touched(FollowedIndex *followed, PageBehind page) {
    auto &touched = followed->touched;
    if (touched.empty() || touched.back().page != page.page)
        touched.push_back(page);
    else
        touched.back().from = std::min(touched.back().from, page.from);
}

void note_change(const RowChange &change, void *) {
    guarded([&change] {
        for (const auto &followed : all_followed()) {
            if (!(followed->heap == change.file) || !was_read(*followed, change.page))
                continue;
            if (change.kind == RowChange::Kind::come)
                note_touched(followed.get(), {change.page, change.from});
            else
                followed->vacuumed.add(change.page);
        }
    });
}

// Those that are behind now and were not, or from another line pointer on.
std::vector<PageBehind> take_touched(FollowedIndex *followed) {
    std::vector<PageBehind> pages;
    for (const PageBehind &page : followed->touched) {
        const auto [known, is_new] = followed->behind.try_emplace(page.page, page.from);
        if (is_new || page.from < known->second)
            pages.push_back(page);
        known->second = std::min(known->second, page.from);
    }
    followed->touched.clear();
    return pages;
}

void tell_of_touched(FollowedIndex *followed, XLogRecPtr read_to) {
    const std::vector<PageBehind> pages = take_touched(followed);
    followed->read_to = std::max(followed->read_to, read_to);
    if (!add_pages_behind(followed->in_registry(), pages, read_to))
        begin_again(followed);
}

XLogRecPtr least_read_to() {
    XLogRecPtr least = replay_position();
    for (const auto &followed : all_followed())
        least = std::min(least, followed->read_to);
    return least;
}

// Returns whether there was much.
bool read_new_wal() {
    const XLogRecPtr begin = least_read_to();
    const XLogRecPtr replayed = replay_position();
    if (begin >= replayed)
        return false;
    const XLogRecPtr end = std::min<XLogRecPtr>(replayed, begin + most_wal_at_once);
    const XLogRecPtr read_to = read_changes(begin, end, note_change, nullptr);
    for (const auto &followed : all_followed()) {
        if (!XLogRecPtrIsInvalid(read_to)) {
            tell_of_touched(followed.get(), read_to);
            continue;
        }
        // That WAL is gone. What it touched has LSNs to be found by.
        followed->touched.clear();
        followed->read_to = replayed;
        begin_again(followed.get());
        lose_track(followed->in_registry(), replayed);
    }
    return end - begin >= much_wal;
}

// ---- Reading pages ----------------------------------------------------------------------------

// A first pass waits for the worker to link what it adds, so that the tail is short when searches
// begin. It does not wait for a tail that was there before, and later nothing waits: a row that is
// not linked costs a search less than one that it reads in the table.
bool may_add(FollowedIndex *followed) {
    const store::Index &index = *followed->open.index;
    const uint64 tail = std::min<uint64>(index.tail(), followed->added_in_pass);
    return !worker_runs() ||
           tail * index.vector_bytes() < tail_limit(*followed->entry(), GetCurrentTimestamp());
}

// Returns whether the pages were read.
bool settle(FollowedIndex *followed, Reading outcome) {
    switch (outcome) {
        case Reading::done:
            followed->failures = 0;
            return true;
        case Reading::moved:
            followed->changed_since = 0;
            begin_again(followed);
            begin_following_again(followed->in_registry(), followed->heap);
            return false;
        case Reading::replaced:
            if (in_use(*followed->entry(), followed->open.incarnation))
                reopen(followed);
            return false;
        case Reading::failed:
            break;
    }
    put_off(followed);
    return false;
}

// Rows that were added want to be linked: a worker that sleeps does not see them come.
void wake_for_added(const FollowedIndex &followed, uint64 added_before) {
    if (followed.reconciler->report().added > added_before)
        wake_worker();
}

// Reads all pages that are behind now.
bool read_behind(FollowedIndex *followed) {
    std::vector<PageBehind> pages;
    for (const auto &[page, from] : followed->behind)
        pages.push_back({page, from});
    std::sort(pages.begin(), pages.end());
    followed->last_read = GetCurrentTimestamp();
    const uint64 added_before = followed->reconciler->report().added;
    if (!settle(followed, read_pages(followed, pages)))
        return false;
    wake_for_added(*followed, added_before);
    followed->behind.clear();
    remove_pages_behind(followed->in_registry(), pages);
    return true;
}

bool read_vacuumed(FollowedIndex *followed, std::size_t most) {
    if (followed->vacuumed.at_begin())
        followed->round_from = followed->read_to;
    const std::vector<BlockNumber> pages = followed->vacuumed.take(most);
    if (settle(followed, read_vacuumed_pages(followed, pages)))
        return true;
    followed->vacuumed.put_back(pages);
    return false;
}

// When pages behind were just read, and a round of vacuumed ones is over, the index has everything
// of before the WAL that was read when that round began.
void note_safe(FollowedIndex *followed) {
    if (!followed->complete || !followed->vacuumed.at_begin())
        return;
    followed->changed_since = followed->round_from;
    advance_safe(followed->in_registry(), followed->round_from);
}

void catch_up(FollowedIndex *followed) {
    if (read_behind(followed) && read_vacuumed(followed, vacuumed_at_once))
        note_safe(followed);
}

// What the index has of pages that the table has no more, and WAL has not named.
void add_pages_beyond_end(FollowedIndex *followed) {
    for (const BlockNumber page : followed->reconciler->blocks_from(followed->table_pages))
        followed->behind[page] = FirstOffsetNumber;
}

// The first pass has come to the end of the table.
void finish_pass(FollowedIndex *followed) {
    add_pages_beyond_end(followed);
    constexpr std::size_t all = std::numeric_limits<std::size_t>::max();
    if (!read_behind(followed) || !read_vacuumed(followed, all) || !read_vacuumed(followed, all))
        return;
    followed->complete = true;
    // Below, all is in the index, and this is what a checkpoint may say from now on.
    note_safe(followed);
    followed->entry()->shared.repair.store(Repair::changed_pages);
    complete_following(followed->in_registry());
    const store::BlockReconciler::Report &report = followed->reconciler->report();
    ereport(LOG, (errmsg("dvec: index %u/%u/%u is followed: " UINT64_FORMAT
                         " entries kept, " UINT64_FORMAT " added, " UINT64_FORMAT " removed",
                         followed->file.tablespace, followed->file.database, followed->file.number,
                         report.kept, report.added, report.removed)));
    announce(*followed);
}

// Returns whether they were read.
bool read_next(FollowedIndex *followed, bool *ended) {
    const uint64 before = followed->reconciler->report().added;
    const Reading outcome = read_next_pages(followed, ended);
    followed->added_in_pass += followed->reconciler->report().added - before;
    wake_for_added(*followed, before);
    return settle(followed, outcome);
}

void show_progress(FollowedIndex *followed) {
    RepairProgress &progress = followed->entry()->repair.progress;
    progress.pages.store(followed->table_pages);
    progress.pages_done.store(std::min(followed->next_page, followed->table_pages));
}

// Returns whether there is more to do at once.
bool read_on(FollowedIndex *followed) {
    for (int piece = 0; piece < pieces_at_once; ++piece) {
        if (!may_add(followed))
            return false;
        bool ended = false;
        if (!read_next(followed, &ended))
            return false;
        show_progress(followed);
        if (ended) {
            finish_pass(followed);
            return false;
        }
    }
    // Room for what WAL will touch in the next round.
    if (followed->behind.size() > most_pages_behind() / 4)
        (void)read_behind(followed);
    return true;
}

bool work_on(FollowedIndex *followed) {
    const TimestampTz now = GetCurrentTimestamp();
    if (followed->retry_at > now || !in_use(*followed->entry(), followed->open.incarnation))
        return false;
    if (!followed->complete)
        return read_on(followed);
    if ((followed->behind.empty() && followed->vacuumed.empty()) ||
        TimestampDifferenceExceeds(followed->last_read, now, gather_ms))
        catch_up(followed);
    return false;
}

// The log's length is bounded as for sessions that write.
void bound_logs() {
    for (const auto &followed : all_followed())
        if (in_use(*followed->entry(), followed->open.incarnation)) {
            FollowedIndex *index = followed.get();
            const PendingError error = caught([index] { wait_before_logging(&index->open); });
            ConditionVariableCancelSleep();
            report(WARNING, error);
            if (error)
                put_off(index);
        }
}

// ---- Life -------------------------------------------------------------------------------------

void nap(long milliseconds) {
    if (milliseconds == 0)
        return;
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds,
                    PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
}

bool anything_to_read() {
    return std::any_of(all_followed().begin(), all_followed().end(), [](const auto &followed) {
        return !followed->behind.empty() || !followed->vacuumed.empty();
    });
}

bool work_on_all() {
    bool more = false;
    for (const auto &followed : all_followed())
        more = work_on(followed.get()) || more;
    return more;
}

void leave(int, Datum) { end_following(); }

void reload_settings() {
    if (!ConfigReloadPending)
        return;
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
}

// Until there is nothing to follow any more, or the server is a standby no more: then its entries
// are left to a repair (settle_promotion).
void follow() {
    MemoryContext round =
        AllocSetContextCreate(TopMemoryContext, "dvec follower round", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(round);
    long idle_ms = shortest_nap_ms;
    while (RecoveryInProgress()) {
        MemoryContextReset(round);
        CHECK_FOR_INTERRUPTS();
        reload_settings();
        drop_those_not_in_use();
        take_new();
        if (all_followed().empty())
            return;
        const bool busy = read_new_wal() || anything_to_read();
        const bool more = work_on_all();
        bound_logs();
        idle_ms = busy ? shortest_nap_ms : std::min(2 * idle_ms, longest_nap_ms);
        nap(more ? 0 : idle_ms);
    }
}

}  // namespace

Wanted wanted_for(const IndexEntry &entry, TimestampTz now) noexcept {
    if (!entry.used || entry.file.backend != InvalidBackendId)
        return Wanted::nothing;
    const IndexState state = entry.state.load();
    if (state == IndexState::needs_repair && entry.repair.retry_at <= now)
        return Wanted::adoption;
    if (state == IndexState::ready && entry.following.on.load() != 0 &&
        entry.following.follower == 0)
        return Wanted::resumption;
    return Wanted::nothing;
}

}  // namespace dvec::postgres

extern "C" {
PGDLLEXPORT void dvec_follower_main(Datum);

void dvec_follower_main(Datum database) {
    using namespace dvec::postgres;
    pqsignal(SIGTERM, die);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    BackgroundWorkerUnblockSignals();
    guarded([=] {
        BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid,
                                                  BGWORKER_BYPASS_ALLOWCONN);
        count_as_user();
        before_shmem_exit(leave, Datum{0});
        pgstat_report_appname("dvec follower");
        follow();
    });
}
}
