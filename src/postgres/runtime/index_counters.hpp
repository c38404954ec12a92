// What is counted about an index since it was opened or its counters were reset, for the view
// dvec_stat_indexes. The counters are in shared memory and are incremented without locks, so values
// that are read together may be a few events apart.
#pragma once

#include <atomic>

#include "postgres/bridge/shared_memory.hpp"

namespace dvec::postgres {

// What searches have done.
struct SearchCounts {
    uint64 searches = 0;   // one for each start of a scan that was asked for a row
    uint64 rows = 0;       // handed to the executor
    uint64 distances = 0;  // measured
    uint64 estimates = 0;  // of distances, by codes. Of no index as a whole
    uint64 nodes = 0;      // whose links were followed
    uint64 rounds = 0;     // of walks that went on because more rows were wanted
    uint64 tail = 0;       // entries without links, each measured
    uint64 refused = 0;    // entries looked at that do not satisfy the index's conditions
    uint64 exact = 0;      // searches that had to measure every entry, or all that were left
    uint64 ef = 0;         // of the widest search; 0 where none has walked. Of no index as a whole

    void add(const SearchCounts &other) noexcept {
        searches += other.searches;
        rows += other.rows;
        distances += other.distances;
        estimates += other.estimates;
        nodes += other.nodes;
        rounds += other.rounds;
        tail += other.tail;
        refused += other.refused;
        exact += other.exact;
        ef = ef > other.ef ? ef : other.ef;
    }
};

// How often something was done, or to how many nodes, and how long it took.
struct TimedCounter {
    std::atomic<uint64> count;
    std::atomic<uint64> microseconds;

    // Whoever loads the count, and then the time, has the time of all that was counted.
    void add(uint64 more, uint64 spent) noexcept {
        microseconds.fetch_add(spent, std::memory_order_relaxed);
        count.fetch_add(more, std::memory_order_release);
    }
    double milliseconds() const noexcept { return static_cast<double>(microseconds.load()) / 1000; }
};

inline constexpr std::size_t worker_debts = 3;  // values of WorkerDebt

// In shared memory, zeroed when the entry is made.
struct IndexCounters {
    // Written at the end of each search, by as many sessions as search at a time: on a cache line
    // of their own.
    struct alignas(64) Searches {
        std::atomic<uint64> searches, rows, distances, nodes, rounds, tail, refused, exact;
    } searches;
    alignas(64) std::atomic<uint64> inserts;
    std::atomic<uint64> removals;      // of entries, by VACUUM
    TimedCounter waits[worker_debts];  // of sessions for the worker, by WorkerDebt
    TimedCounter links;                // nodes, by the worker
    TimedCounter compactions;          // completed ones; time of all
    TimedCounter checkpoints;          // by whomever
    TimedCounter syncs;                // of the log, those of checkpoints not included
    std::atomic<uint64> failed_syncs;  // of any file, after each of which it is built anew
    std::atomic<int64> last_reset;     // TimestampTz; 0 for never

    void add(const SearchCounts &counts) noexcept;
    SearchCounts search_counts() const noexcept;
    // Events that are counted meanwhile may survive.
    void reset(TimestampTz now) noexcept;
};

// Measures the time of work that is counted. Not for code that an ERROR may leave by longjmp.
class Stopwatch {
  public:
    Stopwatch() noexcept { INSTR_TIME_SET_CURRENT(begin_); }
    uint64 microseconds() const noexcept {
        instr_time now;
        INSTR_TIME_SET_CURRENT(now);
        INSTR_TIME_SUBTRACT(now, begin_);
        return INSTR_TIME_GET_MICROSEC(now);
    }

  private:
    instr_time begin_;
};

}  // namespace dvec::postgres
