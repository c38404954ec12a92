// The table is small and changes rarely (an index is opened once per server start), so an entry is
// looked up by a linear search. Backends cache what they found.
#include "postgres/runtime/registry.hpp"

#include <new>
#include <unistd.h>

#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/runtime/server_starts.hpp"
#include "postgres/runtime/settings.hpp"

namespace dvec::postgres {

namespace {

constexpr const char *shared_memory_name = "dvec registry";
constexpr const char *tranche_name = "dvec";
constexpr const char *how_to_preload =
    "Add dvec to shared_preload_libraries in postgresql.conf and restart the server.";

Registry *the_registry = nullptr;
shmem_request_hook_type previous_request_hook = nullptr;
shmem_startup_hook_type previous_startup_hook = nullptr;
int tranche_id = 0;

// A standby's searches read the pages behind one by one: with more of them they are slow anyway.
constexpr uint32 pages_of_standby = 4096;

// Whether the server follows another, and for how many pages behind an entry has room.
uint32 room_for_pages = 0;

Size bytes_of_entries() {
    return MAXALIGN(
        add_size(offsetof(Registry, entries), mul_size(sizeof(IndexEntry), settings::max_indexes)));
}

Size registry_bytes() {
    return add_size(bytes_of_entries(),
                    mul_size(mul_size(sizeof(PageBehind), room_for_pages), settings::max_indexes));
}

// Before recovery begins, which removes these files at its end.
bool starts_as_standby() {
    return access(STANDBY_SIGNAL_FILE, F_OK) == 0 || access(RECOVERY_SIGNAL_FILE, F_OK) == 0;
}

void request_memory() {
    if (previous_request_hook)
        previous_request_hook();
    room_for_pages = starts_as_standby() ? pages_of_standby : 0;
    RequestAddinShmemSpace(add_size(registry_bytes(), 64));
}

void make_registry(Registry *table) {
    // Not the pages: memory that nobody writes to is none.
    std::memset(static_cast<void *>(table), 0, bytes_of_entries());
    table->most_pages_behind = room_for_pages;
    table->pages_behind =
        reinterpret_cast<PageBehind *>(reinterpret_cast<char *>(table) + bytes_of_entries());
    tranche_id = LWLockNewTrancheId();
    table->capacity = settings::max_indexes;
    table->wait_events = name_wait_events();
    LWLockInitialize(&table->lock, tranche_id);
    table->folder_lock.init(tranche_id);
    table->starts_lock.init(tranche_id);
    for (int i = 0; i < table->capacity; ++i) {
        table->entries[i].append_lock.init(tranche_id);
        table->entries[i].grow_lock.init(tranche_id);
        table->entries[i].maintenance_lock.init(tranche_id);
        table->entries[i].sync_lock.init(tranche_id);
        LWLockInitialize(&table->entries[i].following.lock, tranche_id);
        ConditionVariableInit(&table->entries[i].state_changed);
        ConditionVariableInit(&table->entries[i].progress);
    }
}

// Runs in the postmaster, and again after a crash. The registry is then empty, and indexes are
// recovered when they are next used. Backends inherit the pointer by fork.
void start_registry() {
    if (previous_startup_hook)
        previous_startup_hook();
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    bool found;
    auto *memory = ShmemInitStruct(shared_memory_name, registry_bytes(), &found);
    the_registry = static_cast<Registry *>(memory);
    if (!found) {
        make_registry(the_registry);
        the_registry->server_start = note_server_start();
    }
    LWLockRelease(AddinShmemInitLock);
    LWLockRegisterTranche(the_registry->lock.tranche, tranche_name);
}

// Clears what the former index of this entry has left.
void reset_counters(IndexEntry *entry) {
    std::memset(static_cast<void *>(&entry->opening), 0, sizeof entry->opening);
    std::memset(static_cast<void *>(&entry->repair), 0, sizeof entry->repair);
    entry->opening_put_off = 0;
    entry->life = {};
    entry->following.on.store(0);
    entry->following.complete = false;
    entry->following.incarnation = 0;
    entry->rebuilt_before_xid.store(0);
    entry->used_lately.store(1);
    entry->scans.store(0);
    entry->last_scan.store(0);
    entry->checkpoints.store(0);
    entry->checkpoints_wanted.store(0);
    entry->compactions.store(0);
    // `waiting` is not reset: sessions that wait may not have noticed yet that the entry belongs to
    // another index.
    entry->waits.store(0);
    entry->damage.store(0);
    entry->last_checkpoint_time.store(0);
    entry->counters.reset(0);
}

IndexEntry *entry_of(const IndexFile &file) noexcept {
    LWLockAcquire(&the_registry->lock, LW_SHARED);
    IndexEntry *entry = find_entry(file);
    LWLockRelease(&the_registry->lock);
    return entry;
}

}  // namespace

void registry_init() {
    previous_request_hook = shmem_request_hook;
    shmem_request_hook = request_memory;
    previous_startup_hook = shmem_startup_hook;
    shmem_startup_hook = start_registry;
}

void warn_without_registry() {
    // Other first uses of the library need no warning. Programs that restore a dump, and servers
    // that deliberately run without preloading, work without indexes.
    if (!creating_extension)
        return;
    ereport(WARNING, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                      errmsg("dvec is not loaded via \"shared_preload_libraries\", so its indexes "
                             "cannot be used"),
                      errhint("%s", how_to_preload)));
}

Registry *registry() noexcept { return the_registry; }

Registry *require_registry() {
    if (the_registry == nullptr)
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("dvec must be loaded via \"shared_preload_libraries\" to use hnsw indexes"),
                 errhint("%s", how_to_preload)));
    return the_registry;
}

std::span<IndexEntry> known_entries() noexcept {
    const int end = the_registry->used_end.load(std::memory_order_acquire);
    return {the_registry->entries, static_cast<std::size_t>(end)};
}

IndexEntry *find_entry(const IndexFile &file) noexcept {
    for (IndexEntry &entry : known_entries())
        if (entry.used && entry.file == file)
            return &entry;
    return nullptr;
}

IndexEntry *find_ready_entry(const IndexFile &file) noexcept {
    IndexEntry *entry = find_entry(file);
    return entry != nullptr && entry->state.load() == IndexState::ready ? entry : nullptr;
}

IndexEntry *make_entry(const IndexFile &file) {
    for (int i = 0; i < the_registry->capacity; ++i) {
        IndexEntry &entry = the_registry->entries[i];
        if (entry.used)
            continue;
        entry.used = true;
        entry.file = file;
        entry.state.store(IndexState::closed);
        reset_counters(&entry);
        entry.incarnation.store(next_incarnation());
        if (i >= the_registry->used_end.load())
            the_registry->used_end.store(i + 1, std::memory_order_release);
        return &entry;
    }
    return nullptr;
}

void free_entry(IndexEntry *entry) noexcept {
    entry->used = false;
    entry->following.on.store(0);
    entry->state.store(IndexState::closed);
    entry->incarnation.store(next_incarnation());
    ConditionVariableBroadcast(&entry->state_changed);
}

uint64 next_incarnation() noexcept { return the_registry->last_incarnation.fetch_add(1) + 1; }

Life life_of(const IndexEntry &entry) noexcept {
    LWLockAcquire(&the_registry->lock, LW_SHARED);
    const Life life = entry.life;
    LWLockRelease(&the_registry->lock);
    return life;
}

bool in_use(const IndexEntry &entry, uint64 incarnation) noexcept {
    return entry.state.load(std::memory_order_acquire) == IndexState::ready &&
           entry.incarnation.load(std::memory_order_acquire) == incarnation;
}

void forget_index(const IndexFile &file) {
    IndexEntry *entry = entry_of(file);
    if (entry == nullptr)
        return;
    const Holding maintenance(entry->maintenance_lock);
    LWLockAcquire(&the_registry->lock, LW_EXCLUSIVE);
    if (find_entry(file) == entry)
        free_entry(entry);
    LWLockRelease(&the_registry->lock);
}

bool forget_idle_index(const IndexFile &file) noexcept {
    IndexEntry *entry = entry_of(file);
    if (entry == nullptr)
        return true;
    if (!entry->maintenance_lock.try_lock())
        return false;
    LWLockAcquire(&the_registry->lock, LW_EXCLUSIVE);
    const bool same = find_entry(file) == entry;
    const IndexState state = entry->state.load();
    const bool idle = state != IndexState::opening && state != IndexState::repairing;
    if (same && idle)
        free_entry(entry);
    LWLockRelease(&the_registry->lock);
    entry->maintenance_lock.unlock();
    return !same || idle;
}

void set_state(IndexEntry *entry, IndexState state) {
    LWLockAcquire(&the_registry->lock, LW_EXCLUSIVE);
    entry->state.store(state);
    LWLockRelease(&the_registry->lock);
    ConditionVariableBroadcast(&entry->state_changed);
}

void wake_worker() noexcept {
    if (the_registry->worker_sleeps.load(std::memory_order_acquire) == 0)
        return;
    if (the_registry->worker_sleeps.exchange(0) == 0)
        return;
    if (Latch *latch = the_registry->worker_latch.load())
        SetLatch(latch);
}

bool worker_runs() noexcept { return the_registry->worker_latch.load() != nullptr; }

std::string index_directory(const IndexFile &file) {
    char path[MAXPGPATH];
    write_index_directory(file, path);
    return path;
}

void write_index_directory(const IndexFile &file, char (&path)[MAXPGPATH]) noexcept {
    if (file.backend == InvalidBackendId)
        snprintf(path, sizeof path, "%s/%u_%u_%u", sidecar_root, file.tablespace, file.database,
                 file.number);
    else
        snprintf(path, sizeof path, "%s/%u_%u_t%d_%u", sidecar_root, file.tablespace, file.database,
                 file.backend, file.number);
}

store::Description describe(const IndexEntry &entry) {
    LWLockAcquire(&the_registry->lock, LW_SHARED);
    const IndexFile file = entry.file;
    const store::Shape shape = entry.shape;
    LWLockRelease(&the_registry->lock);
    return {shape, index_directory(file)};
}

}  // namespace dvec::postgres
