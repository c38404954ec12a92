// Passes over slots in the order of memory: over all of them, or over those that a filter admits.
// The keys tell which these are, so the other slots are not touched.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "engine/base/status.hpp"
#include "engine/graph/row_filter.hpp"
#include "engine/graph/search_context.hpp"

namespace dvec::graph {

// Calls `use` with every node that the context admits of [first, last). `prefetch` is called for
// nodes ahead.
template <class Prefetch, class Use>
base::Status pass_over(SearchContext &context, NodeId first, NodeId last, Prefetch prefetch,
                       Use use) {
    // Slots ahead of the one measured: their lines arrive while this one is computed.
    constexpr NodeId ahead = 2;
    const NodeStore &nodes = *context.nodes;
    for (NodeId id = first; id < last; ++id) {
        if ((id & 1023) == 0 && context.stop_requested())
            return base::Status(base::Code::interrupted, "search was interrupted");
        if (id + ahead < last) {
            __builtin_prefetch(nodes.slot(id + ahead));
            prefetch(id + ahead);
        }
        if (context.admits(id))
            use(id);
        else if (context.filter != nullptr)
            ++context.statistics.refused;
    }
    return {};
}

// What a pass measures of a row.
enum class Measured : std::uint8_t { sketch, estimate, whole };

// Calls `use` with the linked nodes that context.filter admits; there must be a filter. `use` gets
// an array of ids in ascending order and their number, SearchContext::batch at most. Among them may
// be nodes that are gone and not marked as gone beside their keys yet. What `measured` names has
// been prefetched by then.
template <class Use>
base::Status pass_over_admitted(SearchContext &context, Measured measured, Use use) {
    // The admitted slots are scattered, like the nodes of a walk, so more of them must be
    // prefetched at the same time than in a pass over all slots.
    constexpr std::size_t ahead = 2 * SearchContext::batch;
    // Between two questions whether to stop: some hundred microseconds.
    constexpr std::uint32_t chunks_between_polls = 512;
    const NodeId end = context.marks.linked;
    // Only whole batches are used before the end: these are left when a chunk is added.
    constexpr std::size_t most_left = ahead + SearchContext::batch - 1;
    NodeId ids[most_left + column_chunk_ids];
    std::size_t count = 0;
    // Not a function given by the caller: prefetch_lines says why it must be inlined.
    const auto prefetch = [&](NodeId id) __attribute__((always_inline)) {
        if (measured == Measured::sketch)
            context.sketches->prefetch(id);
        else if (measured == Measured::estimate)
            context.prefetch(id);
        else
            context.prefetch_whole(id);
    };
    const auto use_first = [&](std::size_t used) {
        for (std::size_t i = 0; i < used; i += SearchContext::batch) {
            const std::size_t end_of_batch = std::min(i + SearchContext::batch, used);
            for (std::size_t next = i + ahead; next < std::min(end_of_batch + ahead, count); ++next)
                prefetch(ids[next]);
            use(ids + i, end_of_batch - i);
        }
        std::copy(ids + used, ids + count, ids);
        count -= used;
    };
    for (NodeId first = 0; first < end; first += column_chunk_ids) {
        if (context.stop_requested() || (first / column_chunk_ids % chunks_between_polls == 0 &&
                                         context.interrupted != nullptr && context.interrupted()))
            return base::Status(base::Code::interrupted, "search was interrupted");
        const NodeId chunk_end = std::min(end, first + column_chunk_ids);
        std::uint64_t words[RowFilter::chunk_words];
        context.admit_chunk(first, chunk_end, words);
        const std::size_t waiting = count;
        for (NodeId at = first; at < chunk_end; at += 64)
            for (std::uint64_t word = words[(at - first) / 64]; word != 0; word &= word - 1)
                ids[count++] = at + static_cast<NodeId>(std::countr_zero(word));
        context.statistics.refused += chunk_end - first - (count - waiting);
        for (std::size_t i = waiting; i < std::min(ahead, count); ++i)
            prefetch(ids[i]);
        if (count > ahead)
            use_first((count - ahead) / SearchContext::batch * SearchContext::batch);
    }
    use_first(count);
    return {};
}

}  // namespace dvec::graph
