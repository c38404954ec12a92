// What the parts of one search share: where the nodes are, which of them count, and how to measure.
#pragma once

#include <cstdint>

#include "engine/distance/kernel.hpp"
#include "engine/graph/candidate.hpp"
#include "engine/graph/code_judge.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/graph/prefetch.hpp"
#include "engine/graph/search.hpp"

namespace dvec::graph {

struct SearchContext {
    const NodeStore *nodes = nullptr;
    Watermarks marks;
    distance::Kernel kernel;
    bool coded = false;  // vectors have codes, and the walk measures those
    CodeJudge judge;
    std::size_t dimensions = 0;
    const std::byte *query = nullptr;  // 64-byte aligned
    bool (*interrupted)() = nullptr;
    // Of a slot, from the line where what the walk measures begins: cache lines worth prefetching.
    std::size_t first_line = 0;
    std::size_t lines = 0;
    std::uint64_t next_poll = 0;  // in distances
    SearchStatistics statistics;

    static constexpr std::uint64_t poll_interval = 2048;

    [[gnu::always_inline]] void prefetch(NodeId id) const noexcept {
        prefetch_lines(
            reinterpret_cast<const std::byte *>(nodes->slot(id)) + first_line * cache_line, lines);
    }

    // By the distance to its vector.
    Candidate measure(NodeId id) noexcept {
        ++statistics.distances;
        return make_candidate(kernel.distance(query, nodes->vector(id), dimensions), id);
    }

    // By the distance to its code, where it has one that tells enough.
    Candidate estimate(NodeId id) noexcept {
        if (!coded)
            return measure(id);
        ++statistics.distances;
        const float distance = kernel.code_distance(query, nodes->code(id), dimensions);
        return believe(distance, id);
    }

    // The estimates of four nodes, those that four calls would give.
    static constexpr std::size_t batch = 4;
    void estimate_batch(const NodeId *ids, Candidate *candidates) noexcept {
        statistics.distances += batch;
        const void *measured[batch];
        for (std::size_t i = 0; i < batch; ++i)
            measured[i] = coded ? nodes->code(ids[i]) : nodes->vector(ids[i]);
        float distances[batch];
        (coded ? kernel.four_code_distances : kernel.four_distances)(query, measured, dimensions,
                                                                     distances);
        for (std::size_t i = 0; i < batch; ++i)
            candidates[i] =
                coded ? believe(distances[i], ids[i]) : make_candidate(distances[i], ids[i]);
    }

    // The estimate by the distance to a code, if that tells enough; else by that to the vector.
    Candidate believe(float distance, NodeId id) noexcept {
        if (!judge.reliable(distance, distance::code_error(nodes->code(id)))) [[unlikely]]
            return measure(id);
        return make_candidate(distance, id);
    }

    // Of an estimate, what the node's distance is at least; marked when it is the distance itself.
    Candidate bound(Candidate estimate) const noexcept {
        if (!coded)
            return exact(estimate);
        const NodeId id = candidate_id(estimate);
        const float distance = candidate_distance(estimate);
        const float error = distance::code_error(nodes->code(id));
        // No distance to a code would have been believed.
        if (!judge.reliable(distance, error))
            return exact(estimate);
        return make_candidate(judge.bound(distance, error), id);
    }

    // Of an estimate, what the node's distance is hardly ever less than. The error of a code lies
    // in a direction that has nothing to do with the query's: of its length, a part like one in the
    // root of the dimensions shows. A third is nearly four times as much where there are codes, or
    // more.
    Candidate likely_bound(Candidate estimate) const noexcept {
        if (!coded)
            return estimate;
        const NodeId id = candidate_id(estimate);
        const float error = distance::code_error(nodes->code(id)) / 3;
        return make_candidate(judge.bound(candidate_distance(estimate), error), 0);
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
