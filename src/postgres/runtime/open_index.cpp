// The process's own table of open indexes.
//
// PostgreSQL's errors leave by longjmp, so each function here either calls the server or holds C++
// objects with destructors, never both; plain structs carry results from the one kind to the other.
#include "postgres/runtime/open_index.hpp"

#include <map>
#include <tuple>

#include "engine/base/never_destroyed.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/transactions.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/runtime/following.hpp"
#include "postgres/runtime/opening.hpp"
#include "postgres/runtime/repair_state.hpp"

namespace dvec::postgres {

namespace {

using Key = std::tuple<Oid, Oid, Oid, int>;

Key key_of(const IndexFile &file) {
    return {file.tablespace, file.database, file.number, file.backend};
}

// A key may occur twice: once valid, and once stale but pinned by a scan.
std::multimap<Key, OpenIndex> &open_indexes() noexcept {
    static base::NeverDestroyed<std::multimap<Key, OpenIndex>> table;
    return *table;
}

bool still_valid(const OpenIndex &open) {
    return in_use(*open.entry, open.incarnation) && open.index->is_current();
}

// The shared flag is written only if it is not set, since this is called for every row.
void note_use(OpenIndex *open) {
    static uint64 uses = 0;
    open->last_used = ++uses;
    if (open->entry->used_lately.load(std::memory_order_relaxed) == 0)
        open->entry->used_lately.store(1, std::memory_order_relaxed);
}

}  // namespace

OpenIndex *find_open_index(const IndexFile &file) noexcept {
    settle_promotion();
    const auto [begin, end] = open_indexes().equal_range(key_of(file));
    for (auto it = begin; it != end; ++it)
        if (still_valid(it->second)) {
            note_use(&it->second);
            return &it->second;
        }
    return nullptr;
}

namespace {

// The files of a dropped index take disk space as long as they are mapped, so stale indexes are
// closed whenever one is opened. A scan in progress keeps what it has pinned.
void close_stale() {
    auto &table = open_indexes();
    for (auto it = table.begin(); it != table.end();) {
        if (it->second.pins == 0 && !still_valid(it->second))
            it = table.erase(it);
        else
            ++it;
    }
}

// A process may have only so many mappings (vm.max_map_count), four for each index it writes to.
constexpr std::size_t most_open = 2048;

void close_longest_unused() {
    auto &table = open_indexes();
    if (table.size() < most_open)
        return;
    auto longest = table.end();
    for (auto it = table.begin(); it != table.end(); ++it)
        if (it->second.pins == 0 &&
            (longest == table.end() || it->second.last_used < longest->second.last_used))
            longest = it;
    if (longest != table.end())
        table.erase(longest);
}

base::Result<OpenIndex *> open_here(const IndexFile &file, IndexEntry *entry, uint64 incarnation) {
    OpenIndex open;
    open.entry = entry;
    open.incarnation = incarnation;
    open.life = life_of(*entry);
    open.locks = std::make_unique<EntryLocks>(*entry);
    auto index = open_files_of(entry, *open.locks, store::Index::open);
    DVEC_TRY(index);
    open.index = std::move(index).value();
    OpenIndex *opened = &open_indexes().emplace(key_of(file), std::move(open))->second;
    note_use(opened);
    return opened;
}

// A failure is returned and not raised, since the caller may ignore it.
struct Opened {
    OpenIndex *index;
    PendingError error;
    bool stale;  // the files were exchanged for others in this moment
};

Opened try_open_here(const IndexFile &file, const FoundEntry &found) {
    auto opened = base::guarded([&]() -> base::Result<OpenIndex *> {
        close_stale();
        close_longest_unused();
        return open_here(file, found.entry, found.incarnation);
    });
    if (!opened.ok())
        return {nullptr, pending_error(opened.status()),
                opened.status().code() == base::Code::stale};
    return {opened.value(), {}, false};
}

void leave(int, Datum) { registry()->users.fetch_sub(1); }

// Stale indexes are closed at the end of a transaction too, since the session may be idle from then
// on.
void close_stale_at_end(XactEvent event, void *) {
    static uint64 seen = 0;
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
        return;
    const uint64 incarnation = registry()->last_incarnation.load(std::memory_order_relaxed);
    if (incarnation == seen)
        return;
    seen = incarnation;
    close_stale();
}

}  // namespace

void count_as_user() {
    static bool counted = false;
    if (counted)
        return;
    RegisterXactCallback(close_stale_at_end, nullptr);
    before_shmem_exit(leave, Datum{0});
    registry()->users.fetch_add(1);
    counted = true;
}

OpenIndex *open_index(const IndexFile &file, IndexSource &source) {
    if (OpenIndex *open = find_open_index(file))
        return open;

    require_registry();
    count_as_user();
    for (;;) {
        const FoundEntry found = ready_entry(file, source);
        const Opened opened = try_open_here(file, found);
        CHECK_FOR_INTERRUPTS();
        // If the index ceased to be ready in the meantime, a failure does not count, and the
        // opening is tried again. The entry may even belong to another index by now; then that one
        // was opened, under an incarnation that nobody will look for.
        if (opened.stale || !in_use(*found.entry, found.incarnation))
            continue;
        if (opened.error)
            raise_error(opened.error);
        return opened.index;
    }
}

namespace {

// The index's entry if it is ready, else null; nothing is opened for it.
FoundEntry find_ready(const IndexFile &file) noexcept {
    LWLockAcquire(&registry()->lock, LW_SHARED);
    FoundEntry found{};
    if (IndexEntry *entry = find_ready_entry(file))
        found = {entry, entry->incarnation.load(), IndexState::ready, false};
    LWLockRelease(&registry()->lock);
    return found;
}

OpenIndex *open_ready(const IndexFile &file) {
    if (OpenIndex *open = find_open_index(file))
        return open;
    count_as_user();
    for (;;) {
        const FoundEntry found = find_ready(file);
        if (found.entry == nullptr)
            return nullptr;
        const Opened opened = try_open_here(file, found);
        CHECK_FOR_INTERRUPTS();
        if (opened.stale || !in_use(*found.entry, found.incarnation))
            continue;
        if (opened.error)
            report(WARNING, opened.error);
        return opened.error ? nullptr : opened.index;
    }
}

}  // namespace

OpenIndex *open_followed_index(const IndexFile &file, const Life &life) {
    OpenIndex *open = open_ready(file);
    if (open == nullptr || open->life == life)
        return open;
    end_former_life(open->entry, open->incarnation);
    return nullptr;
}

bool open_without_waiting(const IndexFile &file, IndexSource &source) {
    if (find_open_index(file) != nullptr)
        return may_be_planned(file);
    require_registry();
    count_as_user();
    const FoundEntry found = look_with_entry(file, IfBusy::leave);
    if (found.entry == nullptr)
        return false;
    if (found.state == IndexState::closed)
        open_now(found.entry, source);
    if (RecoveryInProgress())
        return is_followed_closely(file);
    return is_worth_planning(file, found.entry->state.load());
}

namespace {

struct Known {
    IndexState state;
    TimestampTz opening_put_off;  // until then
};

Known known_of(const IndexFile &file) noexcept {
    LWLockAcquire(&registry()->lock, LW_SHARED);
    const IndexEntry *entry = find_entry(file);
    const Known known = entry == nullptr ? Known{IndexState::closed, 0}
                                         : Known{entry->state.load(), entry->opening_put_off};
    LWLockRelease(&registry()->lock);
    return known;
}

}  // namespace

bool wants_opening(const IndexFile &file) noexcept {
    if (find_open_index(file) != nullptr)
        return false;
    const Known known = known_of(file);
    return known.state == IndexState::closed &&
           (known.opening_put_off == 0 || known.opening_put_off <= GetCurrentTimestamp());
}

void put_off_opening(const IndexFile &file) noexcept {
    constexpr int for_ms = 60000;
    const TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), for_ms);
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    if (IndexEntry *entry = find_entry(file))
        entry->opening_put_off = until;
    LWLockRelease(&registry()->lock);
}

bool may_be_planned(const IndexFile &file) noexcept {
    if (RecoveryInProgress())
        return is_followed_closely(file);
    return find_open_index(file) != nullptr || is_worth_planning(file, known_of(file).state);
}

bool is_worth_planning(const IndexFile &file, IndexState state) noexcept {
    return state == IndexState::ready ||
           (state == IndexState::needs_repair && file.backend != InvalidBackendId);
}

void pin(OpenIndex *index) noexcept { ++index->pins; }

void unpin(OpenIndex *index) noexcept { --index->pins; }

}  // namespace dvec::postgres
