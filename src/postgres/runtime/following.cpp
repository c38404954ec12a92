// Following::lock is taken last of all locks, under Registry::lock too, and held for a copy.
#include "postgres/runtime/following.hpp"

#include <algorithm>

#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/runtime/repair_state.hpp"
#include "postgres/runtime/wal.hpp"

namespace dvec::postgres {

namespace {

class Held {
  public:
    Held(const IndexEntry &entry, LWLockMode mode)
        : lock_(const_cast<LWLock *>(&entry.following.lock)) {
        LWLockAcquire(lock_, mode);
    }
    ~Held() { LWLockRelease(lock_); }
    Held(const Held &) = delete;
    Held &operator=(const Held &) = delete;

  private:
    LWLock *lock_;
};

// The entry's part of the pages of all.
PageBehind *pages_of(const IndexEntry &entry) noexcept {
    const auto place = static_cast<std::size_t>(&entry - registry()->entries);
    return registry()->pages_behind + place * registry()->most_pages_behind;
}

void forget_pages(Following *following) {
    following->complete = false;
    following->count = 0;
}

// Calls `change` with what follows the index, unless the entry is not the caller's any more.
template <class Change>
void change_followed(const FollowedEntry &followed, Change change) noexcept {
    const Held held(*followed.entry, LW_EXCLUSIVE);
    Following &following = followed.entry->following;
    if (following.incarnation == followed.incarnation && following.follower == MyProcPid)
        change(following);
}

}  // namespace

uint32 most_pages_behind() noexcept {
    return registry() == nullptr ? 0 : registry()->most_pages_behind;
}

void begin_following(IndexEntry *entry, const FollowingStart &start) noexcept {
    {
        const Held held(*entry, LW_EXCLUSIVE);
        Following &following = entry->following;
        forget_pages(&following);
        following.incarnation = entry->incarnation.load();
        following.follower = MyProcPid;
        following.heap = start.heap;
        following.read_to = start.read_to;
        following.safe = start.safe;
    }
    LWLockAcquire(&registry()->lock, LW_EXCLUSIVE);
    entry->following.on.store(1);
    registry()->follows.store(1);
    entry->repair.kind = Repair::none;
    entry->repair.failures = 0;
    entry->repair.launched = 0;
    entry->state.store(IndexState::ready);
    LWLockRelease(&registry()->lock);
    ConditionVariableBroadcast(&entry->state_changed);
    wake_worker();
}

bool resume_following(const FollowedEntry &followed) noexcept {
    const Held held(*followed.entry, LW_EXCLUSIVE);
    Following &following = followed.entry->following;
    if (following.incarnation != followed.incarnation || following.follower != 0)
        return false;
    following.follower = MyProcPid;
    return true;
}

void end_following() noexcept {
    for (IndexEntry &entry : known_entries()) {
        const Held held(entry, LW_EXCLUSIVE);
        if (entry.following.follower == MyProcPid)
            entry.following.follower = 0;
    }
}

void begin_following_again(const FollowedEntry &followed, const IndexFile &heap) noexcept {
    change_followed(followed, [&](Following &following) {
        forget_pages(&following);
        following.heap = heap;
        following.safe = 0;
    });
}

void lose_track(const FollowedEntry &followed, XLogRecPtr read_to) noexcept {
    change_followed(followed, [&](Following &following) {
        forget_pages(&following);
        following.read_to = read_to;
    });
}

bool add_pages_behind(const FollowedEntry &followed, std::span<const PageBehind> pages,
                      XLogRecPtr read_to) noexcept {
    bool have_room = true;
    change_followed(followed, [&](Following &following) {
        PageBehind *known = pages_of(*followed.entry);
        following.read_to = std::max<uint64>(following.read_to, read_to);
        for (const PageBehind &page : pages) {
            PageBehind *end = known + following.count;
            PageBehind *same = std::ranges::find(known, end, page.page, &PageBehind::page);
            if (same != end) {
                same->from = std::min(same->from, page.from);
                continue;
            }
            have_room = following.count < most_pages_behind();
            if (!have_room)
                return forget_pages(&following);
            known[following.count++] = page;
        }
    });
    return have_room;
}

void remove_pages_behind(const FollowedEntry &followed,
                         std::span<const PageBehind> pages) noexcept {
    change_followed(followed, [&](Following &following) {
        PageBehind *known = pages_of(*followed.entry);
        const auto is_done = [pages](const PageBehind &each) {
            return std::ranges::binary_search(pages, each.page, {}, &PageBehind::page);
        };
        PageBehind *end = std::remove_if(known, known + following.count, is_done);
        following.count = static_cast<uint32>(end - known);
    });
}

void advance_safe(const FollowedEntry &followed, XLogRecPtr safe) noexcept {
    change_followed(followed, [safe](Following &following) {
        following.safe = std::max<uint64>(following.safe, safe);
    });
}

void complete_following(const FollowedEntry &followed) noexcept {
    change_followed(followed, [](Following &following) { following.complete = true; });
}

PagesBehind pages_behind(const IndexEntry &entry, uint64 incarnation, PageBehind *pages) noexcept {
    const Held held(entry, LW_SHARED);
    const Following &following = entry.following;
    if (following.on.load() == 0 || following.incarnation != incarnation ||
        !in_use(entry, incarnation))
        return {};
    std::copy_n(pages_of(entry), following.count, pages);
    return {following.complete, following.read_to, following.safe, following.heap, following.count};
}

FollowedTo followed_to(const IndexEntry &entry) noexcept {
    const Held held(entry, LW_SHARED);
    const Following &following = entry.following;
    return {following.complete, following.read_to, following.safe, following.count};
}

bool is_followed_closely(const IndexFile &file) noexcept {
    if (most_pages_behind() == 0)
        return false;
    XLogRecPtr read_to = 0;
    LWLockAcquire(&registry()->lock, LW_SHARED);
    if (const IndexEntry *entry = find_ready_entry(file);
        entry != nullptr && entry->following.on.load() != 0) {
        const Held held(*entry, LW_SHARED);
        read_to = entry->following.complete ? entry->following.read_to : 0;
    }
    LWLockRelease(&registry()->lock);
    return read_to != 0 && replay_position() < read_to + most_unread_wal;
}

namespace {

// The pages behind, and those that WAL has touched since, have LSNs from `safe` on.
void leave_to_repair(IndexEntry *entry) {
    const Held held(*entry, LW_EXCLUSIVE);
    Following &following = entry->following;
    const Repair kind = following.safe != 0 ? Repair::changed_pages : Repair::every_page;
    note_needed_repair(entry, std::max(kind, entry->shared.repair.load()),
                       "the server was promoted");
    entry->shared.reconcile_lsn.store(following.safe);
    entry->state.store(IndexState::needs_repair);
    following.on.store(0);
    forget_pages(&following);
}

}  // namespace

void settle_promotion() noexcept {
    Registry *table = registry();
    if (table == nullptr || table->follows.load(std::memory_order_acquire) == 0 ||
        RecoveryInProgress())
        return;
    LWLockAcquire(&table->lock, LW_EXCLUSIVE);
    table->follows.store(0);
    for (IndexEntry &entry : known_entries())
        if (entry.used && entry.following.on.load() != 0)
            leave_to_repair(&entry);
    LWLockRelease(&table->lock);
    for (IndexEntry &entry : known_entries())
        ConditionVariableBroadcast(&entry.state_changed);
    wake_worker();
}

}  // namespace dvec::postgres
