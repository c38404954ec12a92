// What the parts of one search share: where the nodes are, which of them count, and how to measure.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "engine/distance/kernel.hpp"
#include "engine/graph/admitted_sets.hpp"
#include "engine/graph/candidate.hpp"
#include "engine/graph/code_judge.hpp"
#include "engine/graph/filter_plan.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/graph/prefetch.hpp"
#include "engine/graph/ranked.hpp"
#include "engine/graph/row_filter.hpp"
#include "engine/graph/search.hpp"
#include "engine/graph/sketches.hpp"
#include "engine/graph/twins.hpp"

namespace dvec::graph {

class LinkCodes;

struct SearchContext {
    const NodeStore *nodes = nullptr;
    Watermarks marks;
    distance::Kernel kernel;
    // What is measured in place of whole vectors, until the nearest rows are put in order.
    enum class Shortcut : std::uint8_t { none, codes, products };
    Shortcut shortcut = Shortcut::none;
    CodeJudge judge;
    std::size_t dimensions = 0;
    const std::byte *query = nullptr;  // 64-byte aligned
    bool (*interrupted)() = nullptr;
    const RowFilter *filter = nullptr;  // null: every row passes
    FilterPlan plan;                    // where there is a filter
    // Where the walk goes by link codes: these, and the end of the ids that have them.
    std::shared_ptr<const LinkCodes> link_codes;
    NodeId coded = 0;
    // What is remembered of the rows that it admits, and sketches of rows; null: nothing.
    std::shared_ptr<const AdmittedSet> admitted;
    Sketches *sketches = nullptr;
    // The part of a slot that the walk measures: its first cache line, and how many lines are worth
    // prefetching.
    std::size_t first_line = 0;
    std::size_t lines = 0;
    std::size_t vector_lines = 0;  // the same of the vector
    std::uint64_t next_poll = 0;   // in distances
    SearchStatistics statistics;
    double count_within = 0;  // Params::count_within; NaN: nothing is counted

    static constexpr std::uint64_t poll_interval = 2048;

    // For a search over the ids below `watermarks`. `aligned_query` starts on a cache line and
    // outlives the context.
    void begin(const NodeStore &store, const Watermarks &watermarks,
               const distance::Kernel &measure_by, std::size_t of_dimensions,
               const std::byte *aligned_query) {
        *this = SearchContext();
        const Layout &layout = store.layout();
        nodes = &store;
        marks = watermarks;
        // Without a sound entry point there is no way into the graph, so all of it is scanned.
        if (marks.entry_point.level < 0 || marks.entry_point.id >= marks.linked)
            marks.linked = 0;
        kernel = measure_by;
        dimensions = of_dimensions;
        query = aligned_query;
        next_poll = poll_interval;
        shortcut = shortcut_of(layout);
        if (shortcut != Shortcut::none)
            judge = CodeJudge(kernel, query, dimensions);
        first_line = layout.measured_offset() / cache_line;
        lines = lines_ahead(layout.measured_offset(), layout.measured_bytes());
        vector_lines = lines_ahead(layout.vector_offset % cache_line, layout.vector_bytes);
    }

    [[gnu::always_inline]] void prefetch(NodeId id) const noexcept { prefetch(id, lines); }
    // The first so many lines of that.
    [[gnu::always_inline]] void prefetch(NodeId id, std::size_t count) const noexcept {
        prefetch_lines(
            reinterpret_cast<const std::byte *>(nodes->slot(id)) + first_line * cache_line, count);
    }

    // The vector, for measure_whole.
    [[gnu::always_inline]] void prefetch_whole(NodeId id) const noexcept {
        prefetch_lines(nodes->vector(id), vector_lines);
    }

    // The node as a candidate by the distance to its vector, as far as a float holds it.
    Candidate measure(NodeId id) noexcept {
        ++statistics.distances;
        return make_candidate(kernel.distance(query, nodes->vector(id), dimensions), id);
    }

    // The node by the whole of that distance: nodes come out of a search in the order of these.
    Ranked measure_whole(NodeId id) noexcept {
        ++statistics.distances;
        return {kernel.whole_distance(query, nodes->vector(id), dimensions), id,
                Ranked::Kind::distance};
    }

    // The node as a candidate by what the shortcut measures, where there is one that tells enough;
    // otherwise by the distance to its vector.
    Candidate estimate(NodeId id) noexcept {
        if (shortcut == Shortcut::none)
            return measure(id);
        ++statistics.distances;
        return believe(shortcut == Shortcut::codes
                           ? kernel.code_distance(query, nodes->code(id), dimensions)
                           : kernel.product(query, nodes->vector(id), dimensions),
                       id);
    }

    // estimate_batch() gives the estimates of four nodes, the same that four calls of estimate()
    // would give.
    static constexpr std::size_t batch = 4;
    // Scattered vectors of so many cache lines or more are measured faster four at a time: reading
    // four streams of memory side by side gains more than the prefetching of each. Shorter vectors
    // are prefetched as a whole.
    static constexpr std::size_t lines_worth_a_batch = 16;
    bool worth_a_batch() const noexcept { return lines >= lines_worth_a_batch; }
    void estimate_batch(const NodeId *ids, Candidate *candidates) noexcept {
        statistics.distances += batch;
        const void *measured[batch];
        for (std::size_t i = 0; i < batch; ++i)
            measured[i] = shortcut == Shortcut::codes ? nodes->code(ids[i]) : nodes->vector(ids[i]);
        const auto measure_four = shortcut == Shortcut::codes      ? kernel.four_code_distances
                                  : shortcut == Shortcut::products ? kernel.four_products
                                                                   : kernel.four_distances;
        float distances[batch];
        measure_four(query, measured, dimensions, distances);
        for (std::size_t i = 0; i < batch; ++i)
            candidates[i] = shortcut == Shortcut::none ? make_candidate(distances[i], ids[i])
                                                       : believe(distances[i], ids[i]);
    }

    // What is known of a vector beside what a shortcut measures. Where the shortcut measures the
    // vector's own elements, they count as a code without an error.
    distance::CodeHeader code_of(NodeId id) const noexcept {
        if (shortcut == Shortcut::codes)
            return distance::code_header(nodes->code(id));
        return {0, 0, 0, nodes->inverse_length(id)};
    }

    // The estimate from what a shortcut has measured, if that tells enough; otherwise from the
    // vector.
    Candidate believe(float measured, NodeId id) noexcept {
        const distance::CodeHeader code = code_of(id);
        const float distance = judge.distance(measured, code);
        if (!judge.reliable(distance, judge.error(code))) [[unlikely]]
            return measure(id);
        return make_candidate(distance, id);
    }

    // Turns an estimate into a lower bound of the node's distance, or into the distance itself.
    Ranked bound(Candidate estimate) const noexcept {
        const NodeId id = candidate_id(estimate);
        const float distance = candidate_distance(estimate);
        if (shortcut != Shortcut::none) {
            const float error = judge.error(code_of(id));
            // Where it is not reliable, believe() has measured the vector instead.
            if (judge.reliable(distance, error))
                return {judge.bound(distance, error), id, Ranked::Kind::bound};
        }
        return bound_of_measured(distance, id);
    }

    // The same for an estimate that measured the vector. Where the metric is finished in double, a
    // float is exact only for NaN.
    Ranked bound_of_measured(float distance, NodeId id) const noexcept {
        if (kernel.whole == nullptr || distance != distance)
            return {distance, id, Ranked::Kind::distance};
        const double value = distance;
        return {value - (value < 0 ? -value : value) * 0x1p-23 - 0x1p-149, id, Ranked::Kind::bound};
    }

    // Turns an estimate into a value that the node's distance is hardly ever below. The error of a
    // code lies in a direction that is independent of the query's, so only about 1 /
    // sqrt(dimensions) of its length shows in a distance. A third of it, taken here, is nearly four
    // times as much or more in every index that has codes.
    Ranked likely_bound(Candidate estimate) const noexcept {
        const NodeId id = candidate_id(estimate);
        const float distance = candidate_distance(estimate);
        if (shortcut == Shortcut::none)
            return bound_of_measured(distance, id);
        const float error = judge.error(code_of(id)) / 3;
        return {judge.bound(distance, error), 0, Ranked::Kind::bound};
    }

    // Whether the row is complete, not deleted, not a hole. Acquire: its payload may be read.
    bool live(NodeId id) const noexcept { return is_live(nodes->state(id)); }
    // Whether the search may return this row: it is live, and the filter admits it.
    bool admits(NodeId id) const noexcept {
        if (filter == nullptr)
            return live(id);
        // A bit that is remembered is nearer than the slot, and the slot nearer than the keys.
        if (admitted != nullptr && id < admitted->end())
            return admitted->has(id) && live(id);
        return live(id) && filter->admits(*nodes, id);
    }
    // As RowFilter::admit_chunk; `first` is a multiple of 64.
    void admit_chunk(NodeId first, NodeId end, std::uint64_t *out) const noexcept {
        if (admitted != nullptr && end <= admitted->end())
            admitted->admit_chunk(*nodes, first, end, out);
        else
            filter->admit_chunk(*nodes, first, end, out);
    }
    // Whether it may return any linked row of the node's place.
    bool admits_place(NodeId node) const noexcept {
        return any_row_of_place(*nodes, node, marks.linked,
                                [this](NodeId row) { return admits(row); });
    }

    // To be called after begin(), for a search that returns only what `rows` admits. `set` is what
    // is remembered of these, and `known` are the sketches that it may use; either may be null.
    void begin_filter(const RowFilter &rows, std::shared_ptr<AdmittedSet> set, Sketches *known) {
        filter = &rows;
        sketches = known;
        plan = FilterPlan(rows, *nodes, marks.linked, set.get(), known);
        admitted = std::move(set);
    }

    // Which shortcut slots of this layout offer.
    static Shortcut shortcut_of(const Layout &layout) noexcept {
        if (layout.lengths != Lengths::none)
            return Shortcut::products;
        return layout.coded() ? Shortcut::codes : Shortcut::none;
    }

    // Whether the caller wants the search to stop; asks the caller only every poll_interval
    // distances.
    bool stop_requested() noexcept {
        if (statistics.distances < next_poll)
            return false;
        next_poll = statistics.distances + poll_interval;
        return interrupted != nullptr && interrupted();
    }
};

}  // namespace dvec::graph
