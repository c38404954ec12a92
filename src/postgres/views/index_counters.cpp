// dvec_index_counters(): the counters of each index as a row, which the view dvec_stat_indexes
// joins to the catalog; and dvec_stat_reset().
#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

namespace {

constexpr int columns = 29;

void put(ReturnSetInfo *result, const IndexFile &file, const IndexCounters &counters) {
    Datum values[columns];
    bool nulls[columns] = {};
    int column = 0;
    const auto number = [&](uint64 value) {
        values[column++] = Int64GetDatum(static_cast<int64>(value));
    };
    const auto timed = [&](const TimedCounter &counter) {
        number(counter.count.load());
        values[column++] = Float8GetDatum(counter.milliseconds());
    };
    values[column++] = ObjectIdGetDatum(file.tablespace);
    values[column++] = ObjectIdGetDatum(file.database);
    values[column++] = ObjectIdGetDatum(file.number);
    const SearchCounts searches = counters.search_counts();
    for (const uint64 count : {searches.searches, searches.rows, searches.distances, searches.nodes,
                               searches.rounds, searches.tail, searches.refused, searches.exact})
        number(count);
    number(counters.inserts.load());
    number(counters.removals.load());
    for (const TimedCounter &wait : counters.waits)
        timed(wait);
    timed(counters.links);
    timed(counters.compactions);
    timed(counters.checkpoints);
    timed(counters.syncs);
    number(counters.failed_syncs.load());
    const int64 reset = counters.last_reset.load();
    nulls[column] = reset == 0;
    values[column++] = TimestampTzGetDatum(reset);
    Assert(column == columns);
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

// Calls `act` with each entry in use, under Registry::lock.
template <class Act>
void for_each_used(Act act) {
    for (IndexEntry &entry : known_entries()) {
        LWLockAcquire(&registry()->lock, LW_SHARED);
        const bool used = entry.used;
        const IndexFile file = entry.file;
        LWLockRelease(&registry()->lock);
        if (used)
            act(file, entry.counters);
    }
}

IndexFile file_of_index(Oid oid) {
    Relation index = index_open(oid, AccessShareLock);
    const IndexFile file = compat::file_name(index);
    index_close(index, AccessShareLock);
    return file;
}

}  // namespace

DVEC_COMMON_FUNCTION(index_counters) {
    InitMaterializedSRF(fcinfo, 0);
    if (registry() == nullptr)
        return Datum{0};
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    for_each_used([result](const IndexFile &file, const IndexCounters &counters) {
        put(result, file, counters);
    });
    return Datum{0};
}

// Of one index, or of all in this database.
DVEC_COMMON_FUNCTION(stat_reset) {
    require_registry();
    const bool all = PG_ARGISNULL(0);
    const IndexFile wanted = all ? IndexFile{} : file_of_index(PG_GETARG_OID(0));
    const TimestampTz now = GetCurrentTimestamp();
    for_each_used([&](const IndexFile &file, IndexCounters &counters) {
        if (all ? file.database == MyDatabaseId : file == wanted)
            counters.reset(now);
    });
    PG_RETURN_VOID();
}

}  // namespace dvec::postgres
