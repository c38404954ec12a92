// Searches are counted in the registry, whose entries are given to other indexes and are gone after
// a crash. So the worker keeps a count of its own of each index, to which it adds what the entry's
// has grown by since the last look.
#include "postgres/worker/autoprewarm.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <unistd.h>
#include <vector>

#include "engine/base/available_memory.hpp"
#include "engine/base/never_destroyed.hpp"
#include "engine/store/prewarm.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/shared_memory.hpp"
#include "postgres/runtime/registry.hpp"
#include "postgres/runtime/settings.hpp"
#include "postgres/worker/searched_file.hpp"

namespace dvec::postgres {

namespace {

// An index that is searched for the first time is noted within this time, and then in which order
// they are searched after a longer one.
constexpr long look_ms = 5000;
constexpr long write_order_ms = 600000;
// A search counts half after this time.
constexpr double half_life_s = 86400;
constexpr double forgotten_below = 1.0 / 1024;
// Of the memory that is available, how much may be filled: four parts of so many.
constexpr uint64 memory_parts = 5;
constexpr uint64 parts_to_fill = 4;

struct Searched {
    SearchedIndex index;
    uint64 seen;  // of the entry's count, at the last look
    bool noted;   // stands in the file
};

// Tablespace, database and number.
using Key = std::array<uint32, 3>;

struct Noted {
    std::map<Key, Searched> indexes;
    TimestampTz looked_at = 0;
    TimestampTz written_at = 0;
    bool changed = false;           // since the file was written
    bool failure_reported = false;  // of writing it, since it last succeeded
    std::unique_ptr<store::Prewarm> prewarm;
    std::size_t wanted = 0;  // indexes that are to be read
};

Noted &noted() noexcept {
    static base::NeverDestroyed<Noted> one;
    return *one;
}

// The count of an entry begins anew when another index has had it meanwhile.
void count_searches(const IndexFile &file, uint64 scans) {
    Noted &all = noted();
    const Key key{file.tablespace, file.database, file.number};
    auto at = all.indexes.find(key);
    if (at == all.indexes.end()) {
        if (scans == 0 || all.indexes.size() >= most_searched)
            return;
        at = all.indexes.emplace(key, Searched{{key[0], key[1], key[2], 0, 0}, 0, false}).first;
    }
    Searched &searched = at->second;
    const uint64 more = scans >= searched.seen ? scans - searched.seen : scans;
    searched.seen = scans;
    searched.index.searches += static_cast<double>(more);
    all.changed = all.changed || more > 0;
}

struct EntryScans {
    IndexFile file;
    uint64 scans;
};

std::vector<EntryScans> scans_of_entries() {
    const auto entries = known_entries();
    std::vector<EntryScans> scans;
    scans.reserve(entries.size());
    LWLockAcquire(&registry()->lock, LW_SHARED);
    for (const IndexEntry &entry : entries)
        if (entry.used && entry.file.backend == InvalidBackendId)
            scans.push_back({entry.file, entry.scans.load(std::memory_order_relaxed)});
    LWLockRelease(&registry()->lock);
    return scans;
}

bool has_folder(const SearchedIndex &index) {
    char path[MAXPGPATH];
    write_index_directory(index.file(), path);
    return access(path, F_OK) == 0;
}

void look(TimestampTz now) {
    Noted &all = noted();
    for (const EntryScans &entry : scans_of_entries())
        count_searches(entry.file, entry.scans);
    const double passed_s =
        static_cast<double>(TimestampDifferenceMilliseconds(all.looked_at, now)) / 1000;
    const double left = std::exp2(-passed_s / half_life_s);
    for (auto &[key, searched] : all.indexes)
        searched.index.searches *= left;
    const auto gone = std::erase_if(all.indexes, [](const auto &one) {
        const SearchedIndex &index = one.second.index;
        return index.searches < forgotten_below || !has_folder(index);
    });
    all.changed = all.changed || gone > 0;
    all.looked_at = now;
}

void write_file(TimestampTz now) {
    Noted &all = noted();
    SearchedIndexes indexes;
    for (const auto &[key, searched] : all.indexes)
        indexes.push_back(searched.index);
    std::stable_sort(indexes.begin(), indexes.end(),
                     [](const SearchedIndex &left, const SearchedIndex &right) {
                         return left.searches > right.searches;
                     });
    const base::Status written = write_searched(indexes);
    all.written_at = now;
    // A full disk would be reported again and again.
    if (!written.ok() && !all.failure_reported)
        report(WARNING, pending_error(written));
    all.failure_reported = !written.ok();
    if (!written.ok())
        return;
    all.changed = false;
    for (auto &[key, searched] : all.indexes)
        searched.noted = true;
}

bool is_due(TimestampTz now) {
    const Noted &all = noted();
    if (!all.changed)
        return false;
    const bool newcomer = std::any_of(all.indexes.begin(), all.indexes.end(),
                                      [](const auto &one) { return !one.second.noted; });
    return (newcomer && !all.failure_reported) ||
           TimestampDifferenceExceeds(all.written_at, now, static_cast<int>(write_order_ms));
}

// Shared buffers are available memory until the server has filled them.
uint64 room() {
    const uint64 buffers = static_cast<uint64>(NBuffers) * BLCKSZ;
    const uint64 available = base::available_memory();
    return (available - std::min(available, buffers)) / memory_parts * parts_to_fill;
}

// What is told of the outcome, as plain data.
struct Summary {
    uint32 indexes;
    std::size_t wanted;
    uint64 bytes;
    uint64 read;
    double seconds;
    bool out_of_room;
};

Summary take_summary() {
    Noted &all = noted();
    all.prewarm->stop();
    const store::Prewarm::Outcome &outcome = all.prewarm->outcome();
    report(LOG, pending_error(outcome.failure));
    const Summary summary{outcome.indexes, all.wanted,      outcome.bytes,
                          outcome.read,    outcome.seconds, outcome.out_of_room};
    all.prewarm.reset();
    return summary;
}

void tell_when_done() {
    if (!noted().prewarm || !noted().prewarm->done())
        return;
    const Summary told = take_summary();
    ereport(LOG,
            (errmsg("dvec worker prewarmed %u of %zu indexes: " UINT64_FORMAT
                    " kB, of which " UINT64_FORMAT " kB were not in memory, in %.1f s",
                    told.indexes, told.wanted, told.bytes / 1024, told.read / 1024, told.seconds),
             told.out_of_room ? errdetail("No memory is available for more.") : 0));
}

base::Status read_and_begin() {
    Noted &all = noted();
    auto searched = read_searched();
    DVEC_TRY(searched);
    all.indexes.clear();
    store::Prewarm::Params params{{}, room};
    for (const SearchedIndex &index : searched.value()) {
        all.indexes[{index.tablespace, index.database, index.number}] = {index, 0, true};
        params.directories.push_back(index_directory(index.file()));
    }
    // Where the worker alone has been started again, these searches are in the file.
    for (const EntryScans &entry : scans_of_entries())
        if (const auto at =
                all.indexes.find({entry.file.tablespace, entry.file.database, entry.file.number});
            at != all.indexes.end())
            at->second.seen = entry.scans;
    all.wanted = params.directories.size();
    if (all.wanted == 0)
        return {};
    all.prewarm = std::make_unique<store::Prewarm>(base::posix_file_system());
    base::Status begun = all.prewarm->begin(std::move(params));
    if (!begun.ok())
        all.prewarm.reset();
    return begun;
}

}  // namespace

void begin_prewarm() {
    noted().looked_at = noted().written_at = GetCurrentTimestamp();
    if (settings::autoprewarm)
        report(WARNING, pending_error(base::guarded([] { return read_and_begin(); })));
}

long note_searched_indexes() {
    Noted &all = noted();
    if (!settings::autoprewarm) {
        end_prewarm();
        return look_ms;
    }
    tell_when_done();
    const TimestampTz now = GetCurrentTimestamp();
    if (const long passed = TimestampDifferenceMilliseconds(all.looked_at, now); passed < look_ms)
        return look_ms - passed;
    // Next time there may be memory.
    (void)base::guarded([now]() -> base::Status {
        look(now);
        if (is_due(now))
            write_file(now);
        return {};
    });
    return look_ms;
}

void note_searched_at_end() {
    if (!settings::autoprewarm)
        return;
    (void)base::guarded([now = GetCurrentTimestamp()]() -> base::Status {
        look(now);
        if (noted().changed)
            write_file(now);
        return {};
    });
}

void end_prewarm() noexcept { noted().prewarm.reset(); }

}  // namespace dvec::postgres
