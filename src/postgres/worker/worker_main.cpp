// One process serves all indexes in turn, a bounded piece of work for each at a time. It needs no
// database connection: it reads and writes sidecar files only.
//
// It starts as soon as the server answers queries. On a standby, where recovery is not over then,
// it launches the followers and maintains what they write. It ends after every process that has an
// index open, so that nothing is written after its clean checkpoints.
#include "postgres/worker/worker_main.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>

#include "engine/distance/isa.hpp"
#include "postgres/bridge/background_process.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/bridge/shared_memory.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/repair/launcher.hpp"
#include "postgres/repair/repair_process.hpp"
#include "postgres/replica/follower.hpp"
#include "postgres/runtime/folder_sweep.hpp"
#include "postgres/runtime/following.hpp"
#include "postgres/runtime/registry.hpp"
#include "postgres/runtime/server_starts.hpp"
#include "postgres/runtime/settings.hpp"
#include "postgres/worker/autoprewarm.hpp"
#include "postgres/worker/index_maintenance.hpp"

namespace dvec::postgres {

namespace {

// Set by the signal handler; the linker's threads look at it between nodes.
std::atomic<bool> shutdown_requested{false};

void handle_shutdown(SIGNAL_ARGS) {
    const int saved_errno = errno;
    shutdown_requested.store(true);
    SetLatch(MyLatch);
    errno = saved_errno;
}

void withdraw(int, Datum) { registry()->worker_latch.store(nullptr); }

// Lets the sessions that insert know that there is someone to wait for.
void announce() {
    before_shmem_exit(withdraw, Datum{0});
    registry()->worker_latch.store(MyLatch);
}

// Sessions do not wake the worker from naps that are no longer than this.
constexpr long longest_nap_ms = 2;

// Sleeps until somebody has something to do, or until the next deadline of the maintenance.
void wait_for_work(long milliseconds) {
    Registry *table = registry();
    if (milliseconds <= longest_nap_ms) {
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds,
                        wait_event(WaitFor::work));
        ResetLatch(MyLatch);
        return;
    }
    table->worker_sleeps.store(1);
    // Check again: a session that added a row before it could see that the worker sleeps has not
    // woken it.
    const bool repair_waits = !shutdown_requested.load() && repair_is_due();
    if (!repair_waits && !maintenance_is_urgent())
        WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds,
                  wait_event(WaitFor::work));
    table->worker_sleeps.store(0);
    ResetLatch(MyLatch);
}

void reload_settings() {
    if (!ConfigReloadPending)
        return;
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
}

// Returns the milliseconds until the next one.
long sweep_when_due(TimestampTz *last) {
    const TimestampTz now = GetCurrentTimestamp();
    const long interval = settings::sweep_interval_s * 1000L;
    const long passed = TimestampDifferenceMilliseconds(*last, now);
    if (passed < interval)
        return interval - passed;
    sweep();
    *last = now;
    return interval;
}

// Whether the server is shutting down, as opposed to somebody having terminated the worker alone.
// The postmaster notes a shutdown in its lock file before it signals its children.
bool server_stops() {
    FILE *lock_file = AllocateFile("postmaster.pid", "r");
    if (lock_file == nullptr)
        return true;
    char line[MAXPGPATH] = "";
    for (int i = 0; i < LOCK_FILE_LINE_PM_STATUS; ++i)
        if (fgets(line, sizeof line, lock_file) == nullptr)
            line[0] = '\0';
    FreeFile(lock_file);
    return strncmp(line, PM_STATUS_STOPPING, strlen(PM_STATUS_STOPPING)) == 0;
}

// Linking is not urgent. At the priority of sessions it would delay their short searches and
// inserts by up to a time slice. The priority is only a little lower, since the tail, which every
// search reads, must get shorter even on a busy machine.
void yield_to_sessions() {
    constexpr int nicer = 5;
    // Where the kernel groups processes by session (sched(7), autogroup), and every process of the
    // server has a session of its own, only the group's number counts; elsewhere only the
    // process's.
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + nicer);
    if (FILE *group = AllocateFile("/proc/self/autogroup", "w")) {
        fprintf(group, "%d", nicer);
        FreeFile(group);
    }
}

// A process can connect to a database only once, so the worker ends after this, and the postmaster
// starts another a second later. Until then sessions behave as if there were no worker: they sync
// and extend the files themselves and do not wait for linking.
[[noreturn]] void become_repairer(const OwnRepair &own) {
    withdraw(0, Datum{0});
    close_maintained_indexes();
    end_prewarm();
    pqsignal(SIGTERM, die);
    repair_all_in_database(own);
    proc_exit(1);
}

// Once, when the server has been started or a standby promoted.
void begin_to_write() {
    note_recovery_end();
    settle_promotion();
}

// Returns the milliseconds until the next one is due.
long repair() {
    begin_to_write();
    OwnRepair own;
    const long until_next = launch_repairs(&own);
    if (own)
        become_repairer(own);
    return until_next;
}

// A promotion may come at any time, so it is looked for anew.
long launch() { return RecoveryInProgress() ? launch_followers() : repair(); }

void run() {
    // The first sweep also finds what a crash left behind.
    TimestampTz last_sweep = 0;
    // Messages and paths of one round.
    MemoryContext round_context =
        AllocSetContextCreate(TopMemoryContext, "dvec worker round", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(round_context);
    begin_prewarm();
    while (!shutdown_requested.load() || (server_stops() && registry()->users.load() > 0)) {
        MemoryContextReset(round_context);
        reload_settings();
        if (!RecoveryInProgress())
            begin_to_write();
        long until_next = maintain_all(shutdown_requested);
        if (!shutdown_requested.load()) {
            until_next = std::min(until_next, launch());
            until_next = std::min(until_next, sweep_when_due(&last_sweep));
            until_next = std::min(until_next, note_searched_indexes());
        } else {
            end_prewarm();
        }
        // Sessions do not wake the worker when they end, so it checks often during a shutdown.
        if (until_next > 0)
            wait_for_work(shutdown_requested.load() ? 10 : until_next);
    }
    end_prewarm();
    note_searched_at_end();
    if (server_stops())
        checkpoint_all_clean();
}

}  // namespace

void worker_init() {
    // While pg_upgrade runs no index is used, and folders may exist before their relations do.
    if (IsBinaryUpgrade)
        return;
    // The worker connects to a database only to repair an index, when no background worker is
    // available.
    BackgroundWorker worker =
        background_process("dvec worker", "dvec_worker_main", BgWorkerStart_ConsistentState);
    worker.bgw_restart_time = 1;
    RegisterBackgroundWorker(&worker);
}

}  // namespace dvec::postgres

extern "C" {
PGDLLEXPORT void dvec_worker_main(Datum);

void dvec_worker_main(Datum) {
    using namespace dvec::postgres;
    pqsignal(SIGTERM, handle_shutdown);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGINT, SIG_IGN);
    BackgroundWorkerUnblockSignals();
    guarded([] {
        yield_to_sessions();
        announce();
        ereport(LOG, (errmsg("dvec worker started: %d linking threads, distances with %s",
                             settings::link_threads,
                             dvec::distance::isa_name(dvec::distance::active_isa()))));
        run();
    });
    // Exit status 0 tells the postmaster not to start the worker again; with any other it does.
    proc_exit(server_stops() ? 0 : 1);
}
}
