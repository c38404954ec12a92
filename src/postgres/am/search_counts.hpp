// What the searches of one index scan have done: for EXPLAIN, dvec_last_searches() and the log.
#pragma once

#include "engine/graph/search.hpp"
#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

struct SearchCounts {
    uint64 searches = 0;   // one for each start of the scan that was asked for a row
    uint64 rows = 0;       // handed to the executor
    uint64 distances = 0;  // measured
    uint64 nodes = 0;      // whose links were followed
    uint64 rounds = 0;     // of walks that went on because more rows were wanted
    uint64 tail = 0;       // entries without links, each measured
    uint64 exact = 0;      // searches that had to measure every entry, or all that were left

    void add(const SearchCounts &other) noexcept {
        searches += other.searches;
        rows += other.rows;
        distances += other.distances;
        nodes += other.nodes;
        rounds += other.rounds;
        tail += other.tail;
        exact += other.exact;
    }
};

inline SearchCounts counts_of_search(const graph::SearchStatistics &statistics, uint64 rows) {
    return {.searches = 1,
            .rows = rows,
            .distances = statistics.distances,
            .nodes = statistics.expanded,
            .rounds = statistics.rounds,
            .tail = statistics.tail,
            .exact = statistics.exact ? uint64{1} : uint64{0}};
}

// Of a scan of ours, over all its restarts, the search under way included.
SearchCounts search_counts(IndexScanDesc scan);

}  // namespace dvec::postgres
