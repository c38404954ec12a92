// What the parts of one search share: where the nodes are, which of them count, and how to measure.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/distance/kernel.hpp"
#include "engine/graph/candidate.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/graph/search.hpp"

namespace dvec::graph {

inline void prefetch_lines(const std::byte *address, std::size_t lines) noexcept {
    for (std::size_t line = 0; line < lines; ++line)
        __builtin_prefetch(address + line * cache_line);
}

struct SearchContext {
    const NodeStore *nodes = nullptr;
    Watermarks marks;
    distance::DistanceFunction function = nullptr;
    distance::FourDistancesFunction four_function = nullptr;
    std::size_t dimensions = 0;
    const std::byte *query = nullptr;  // 64-byte aligned
    bool (*interrupted)() = nullptr;
    std::size_t vector_lines = 0;  // cache lines of one vector worth prefetching
    std::uint64_t next_poll = 0;   // in distances
    SearchStatistics statistics;

    // Lines beyond these are left to the processor's own stream prefetcher, which has started by
    // then.
    static constexpr std::size_t most_vector_lines = 16;
    static constexpr std::uint64_t poll_interval = 2048;

    Candidate measure(NodeId id) noexcept {
        ++statistics.distances;
        return make_candidate(function(query, nodes->vector(id), dimensions), id);
    }

    // The candidates of four nodes, those that four calls of measure() would give.
    static constexpr std::size_t batch = 4;
    void measure_batch(const NodeId *ids, Candidate *candidates) noexcept {
        statistics.distances += batch;
        const void *vectors[batch];
        for (std::size_t i = 0; i < batch; ++i)
            vectors[i] = nodes->vector(ids[i]);
        float distances[batch];
        four_function(query, vectors, dimensions, distances);
        for (std::size_t i = 0; i < batch; ++i)
            candidates[i] = make_candidate(distances[i], ids[i]);
    }

    // A node to be returned: complete, not deleted, not a hole. Acquire: its payload may be read.
    bool live(NodeId id) const noexcept { return is_live(nodes->state(id)); }

    // Whether the caller wants the search to stop; asks only every poll_interval distances.
    bool stop_requested() noexcept {
        if (statistics.distances < next_poll)
            return false;
        next_poll = statistics.distances + poll_interval;
        return interrupted != nullptr && interrupted();
    }
};

}  // namespace dvec::graph
