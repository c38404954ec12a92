#include "postgres/runtime/index_counters.hpp"

namespace dvec::postgres {

namespace {

void reset_counter(TimedCounter *counter) {
    counter->count.store(0);
    counter->microseconds.store(0);
}

}  // namespace

void IndexCounters::add(const SearchCounts &counts) noexcept {
    constexpr auto order = std::memory_order_relaxed;
    searches.searches.fetch_add(counts.searches, order);
    searches.rows.fetch_add(counts.rows, order);
    searches.distances.fetch_add(counts.distances, order);
    searches.nodes.fetch_add(counts.nodes, order);
    // Mostly 0.
    if (counts.rounds > 0)
        searches.rounds.fetch_add(counts.rounds, order);
    if (counts.tail > 0)
        searches.tail.fetch_add(counts.tail, order);
    if (counts.refused > 0)
        searches.refused.fetch_add(counts.refused, order);
    if (counts.exact > 0)
        searches.exact.fetch_add(counts.exact, order);
}

SearchCounts IndexCounters::search_counts() const noexcept {
    return {.searches = searches.searches.load(),
            .rows = searches.rows.load(),
            .distances = searches.distances.load(),
            .estimates = 0,
            .nodes = searches.nodes.load(),
            .rounds = searches.rounds.load(),
            .tail = searches.tail.load(),
            .refused = searches.refused.load(),
            .exact = searches.exact.load(),
            .ef = 0};
}

void IndexCounters::reset(TimestampTz now) noexcept {
    for (auto *counter : {&searches.searches, &searches.rows, &searches.distances, &searches.nodes,
                          &searches.rounds, &searches.tail, &searches.refused, &searches.exact,
                          &inserts, &removals, &failed_syncs})
        counter->store(0);
    for (TimedCounter &wait : waits)
        reset_counter(&wait);
    for (TimedCounter *counter : {&links, &compactions, &checkpoints, &syncs})
        reset_counter(counter);
    last_reset.store(now);
}

}  // namespace dvec::postgres
