// A follower that ends, whatever it died of, is started again after a pause.
#include <algorithm>
#include <vector>

#include "engine/base/never_destroyed.hpp"
#include "postgres/bridge/background_process.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/shared_memory.hpp"
#include "postgres/replica/follower.hpp"

namespace dvec::postgres {

namespace {

// A server has few background workers, and other uses for them.
constexpr std::size_t most_followers = 4;
constexpr long pause_ms = 1000;
constexpr long look_again_ms = 1000;

struct Follower {
    Oid database;
    BackgroundWorkerHandle *handle;  // null: it has ended
    TimestampTz launched;
};

std::vector<Follower> &followers() noexcept {
    static base::NeverDestroyed<std::vector<Follower>> list;
    return *list;
}

bool is_launchable(Oid database, TimestampTz now) {
    for (const Follower &follower : followers())
        if (follower.database == database)
            return follower.handle == nullptr &&
                   TimestampDifferenceExceeds(follower.launched, now, pause_ms);
    return true;
}

// One that is to be started now, or none.
Oid database_to_follow(TimestampTz now) noexcept {
    Oid found = InvalidOid;
    LWLockAcquire(&registry()->lock, LW_SHARED);
    for (const IndexEntry &entry : known_entries())
        if (wanted_for(entry, now) != Wanted::nothing && is_launchable(entry.file.database, now))
            found = entry.file.database;
    LWLockRelease(&registry()->lock);
    return found;
}

void forget_ended() {
    for (Follower &follower : followers()) {
        pid_t pid;
        if (follower.handle == nullptr ||
            GetBackgroundWorkerPid(follower.handle, &pid) != BGWH_STOPPED)
            continue;
        pfree(follower.handle);
        follower.handle = nullptr;
    }
}

std::size_t running() {
    return static_cast<std::size_t>(
        std::count_if(followers().begin(), followers().end(),
                      [](const Follower &follower) { return follower.handle != nullptr; }));
}

BackgroundWorkerHandle *start_process(Oid database) {
    BackgroundWorker process =
        background_process("dvec follower", "dvec_follower_main", BgWorkerStart_ConsistentState);
    process.bgw_main_arg = ObjectIdGetDatum(database);
    const MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
    BackgroundWorkerHandle *handle = nullptr;
    const bool registered = RegisterDynamicBackgroundWorker(&process, &handle);
    MemoryContextSwitchTo(caller);
    return registered ? handle : nullptr;
}

void note(Oid database, BackgroundWorkerHandle *handle, TimestampTz now) {
    auto &list = followers();
    auto at = std::find_if(list.begin(), list.end(), [database](const Follower &follower) {
        return follower.database == database;
    });
    if (at == list.end())
        at = list.insert(at, Follower{database, nullptr, 0});
    at->handle = handle;
    at->launched = now;
}

// However often it is tried.
void tell_once_of_no_process() {
    if (registry()->no_process_told.exchange(1) != 0)
        return;
    ereport(WARNING, (errmsg("dvec: no background worker is free to follow the primary's changes"),
                      errdetail("Queries of a database that has none use the exact search."),
                      errhint("You might need to increase max_worker_processes.")));
}

}  // namespace

long launch_followers() {
    forget_ended();
    const TimestampTz now = GetCurrentTimestamp();
    while (running() < most_followers) {
        const Oid database = database_to_follow(now);
        if (!OidIsValid(database))
            break;
        BackgroundWorkerHandle *handle = start_process(database);
        note(database, handle, now);
        if (handle == nullptr) {
            tell_once_of_no_process();
            break;
        }
        registry()->no_process_told.store(0);
    }
    return look_again_ms;
}

}  // namespace dvec::postgres
