// What the searches of one index scan have done: for EXPLAIN, dvec_last_searches() and the log.
#pragma once

#include "engine/graph/search.hpp"
#include "postgres/bridge/access_method.hpp"
#include "postgres/runtime/index_counters.hpp"

namespace dvec::postgres {

inline SearchCounts counts_of_search(const graph::SearchStatistics &statistics, uint64 rows,
                                     uint64 ef) {
    return {.searches = 1,
            .rows = rows,
            .distances = statistics.distances,
            .estimates = statistics.estimated,
            .nodes = statistics.expanded,
            .rounds = statistics.rounds,
            .tail = statistics.tail,
            .refused = statistics.refused,
            .exact = statistics.exact ? uint64{1} : uint64{0},
            .ef = ef};
}

// Of a scan of ours, over all its restarts, the search under way included.
SearchCounts search_counts(IndexScanDesc scan);

}  // namespace dvec::postgres
