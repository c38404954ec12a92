// Scans of one statement are told from those of the next by the time at which the client's
// statement arrived, so that what a function or a DO block searched counts for the statement that
// called it.
#include "postgres/am/last_searches.hpp"

#include <vector>

#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/transactions.hpp"

namespace dvec::postgres {

int log_search_min_duration = -1;

namespace {

struct IndexSearches {
    Oid index;
    SearchCounts counts;
    bool timed;
    double milliseconds;
};

// Of the session, in the order in which the first scan of each index ended.
std::vector<IndexSearches> last_searches;
TimestampTz last_statement = 0;

IndexSearches *searches_of(Oid index) {
    for (IndexSearches &known : last_searches)
        if (known.index == index)
            return &known;
    return &last_searches.emplace_back(IndexSearches{index, {}, true, 0});
}

void put(ReturnSetInfo *result, const IndexSearches &searches) {
    constexpr int columns = 12;
    Datum values[columns];
    bool nulls[columns] = {};
    int column = 0;
    values[column++] = ObjectIdGetDatum(searches.index);
    const SearchCounts &counts = searches.counts;
    for (const uint64 count :
         {counts.searches, counts.rows, counts.distances, counts.estimates, counts.nodes,
          counts.rounds, counts.tail, counts.refused, counts.exact})
        values[column++] = Int64GetDatum(static_cast<int64>(count));
    nulls[column] = counts.ef == 0;
    values[column++] = Int32GetDatum(static_cast<int32>(counts.ef));
    nulls[column] = !searches.timed;
    values[column++] = Float8GetDatum(searches.milliseconds);
    Assert(column == columns);
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

}  // namespace

void note_searches(Oid index, const SearchCounts &counts, const SearchTime &time) noexcept try {
    if (counts.searches == 0)
        return;
    if (const TimestampTz statement = GetCurrentStatementStartTimestamp();
        statement != last_statement) {
        last_searches.clear();
        last_statement = statement;
    }
    IndexSearches *searches = searches_of(index);
    searches->counts.add(counts);
    searches->timed = searches->timed && time.known();
    searches->milliseconds += time.milliseconds();
} catch (const std::bad_alloc &) {
}

void log_searches(Relation index, const SearchCounts &counts, const SearchTime &time) {
    if (counts.searches == 0 || !time.known() || log_search_min_duration < 0 ||
        time.milliseconds() < log_search_min_duration)
        return;
    ereport(
        LOG,
        (errmsg("duration: %.3f ms  index scan on \"%s\"", time.milliseconds(),
                RelationGetRelationName(index)),
         errdetail("searches: " UINT64_FORMAT ", rows: " UINT64_FORMAT ", distances: " UINT64_FORMAT
                   ", estimates: " UINT64_FORMAT ", nodes: " UINT64_FORMAT
                   ", rounds: " UINT64_FORMAT ", tail: " UINT64_FORMAT ", refused: " UINT64_FORMAT
                   ", exact: " UINT64_FORMAT ", ef: " UINT64_FORMAT,
                   counts.searches, counts.rows, counts.distances, counts.estimates, counts.nodes,
                   counts.rounds, counts.tail, counts.refused, counts.exact, counts.ef)));
}

void last_searches_init() {
    DefineCustomIntVariable(
        "dvec.log_search_min_duration",
        "Sets the time spent in an index from which on its scan is logged.",
        "-1 turns that off, and the times in dvec_last_searches() with it; 0 logs every scan.",
        &log_search_min_duration, -1, -1, INT_MAX, PGC_SUSET, GUC_UNIT_MS, nullptr, nullptr,
        nullptr);
}

DVEC_COMMON_FUNCTION(last_searches) {
    InitMaterializedSRF(fcinfo, 0);
    auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    for (const IndexSearches &searches : last_searches)
        put(result, searches);
    return Datum{0};
}

}  // namespace dvec::postgres
