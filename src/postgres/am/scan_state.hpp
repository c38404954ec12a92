// What an index scan keeps from its beginning to its end, over all its restarts.
#pragma once

#include <memory>
#include <optional>

#include "engine/graph/row_filter.hpp"
#include "postgres/am/heap_rows.hpp"
#include "postgres/am/last_searches.hpp"
#include "postgres/am/measured_rows.hpp"
#include "postgres/am/operator_distance.hpp"
#include "postgres/am/operator_order.hpp"
#include "postgres/am/scan_guide.hpp"
#include "postgres/am/scan_terms.hpp"
#include "postgres/runtime/open_index.hpp"

namespace dvec::postgres {

// Owned by the memory context that was current in new_scan(), which runs the destructor.
struct OpenScan {
    std::unique_ptr<graph::RowFilter> filter;       // of the search; null without conditions
    std::unique_ptr<graph::Search> search;          // while one is under way
    std::unique_ptr<MeasuredRows> measured;         // in its place, where kernels cannot say
    std::unique_ptr<OperatorOrder> order;           // of the search's rows, by other distances
    OpenIndex *open = nullptr;                      // pinned while a search is under way
    MemoryContext query_context = nullptr;          // of the query, from start to start
    OperatorDistance *operator_distance = nullptr;  // there; for `measured`
    RowDistance *row_distance = nullptr;            // there; for `order`
    HeapRows *heap_rows = nullptr;      // there; of the pages that the index is behind by
    std::optional<graph::Hit> indexed;  // beside these, the next row of the index
    bool knows_indexed = false;         // whether it was looked for
    uint64 heap_row_count = 0;          // known after the context of these has gone
    uint64 exactly_measured = 0;        // likewise, of row_distance
    bool started = false;
    bool recheck = false;  // the filter may admit rows that do not satisfy the conditions
    std::optional<LimitAbove> limit;  // looked for when the first search begins
    ScanTerms terms{};
    ScanGuide *guide = nullptr;  // the caller's, or none
    uint64 returned = 0;         // rows
    double farthest = 0;         // distance of the last of them
    bool left_late_out = false;  // there were rows that the terms leave out since they came late
    Oid index = InvalidOid;
    SearchCounts ended;  // of the searches before the one under way
    SearchTime time;     // of all of them

    ~OpenScan() { finish(); }

    bool is_exact() const noexcept {
        return guide != nullptr && guide->order == ScanGuide::Order::exact;
    }

    // Of the search that is under way.
    graph::SearchStatistics statistics() const;
    SearchCounts counts_of_started() const;
    // Of all searches.
    SearchCounts counts() const noexcept;

    // Ends the search that is under way, if one is, and counts it. The next row that is asked for
    // begins another.
    void release() noexcept;
    // After the last search; whoever comes second finds nothing to do.
    void finish() noexcept;
};

OpenScan *new_scan(Oid index);
OpenScan *scan_of(IndexScanDesc descriptor);

// A search that an ended scan of this session has left, or a new one.
std::unique_ptr<graph::Search> take_search();

// How many rows the session's last scan returned. The executor does not say how many it wants; most
// sessions want as many time and again.
uint64 rows_of_last_scan() noexcept;

}  // namespace dvec::postgres
