#include "postgres/am/scan_rows.hpp"

#include <cmath>

#include "postgres/bridge/errors.hpp"

namespace dvec::postgres {

namespace {

bool is_beyond(const ScanGuide &guide, double distance) {
    return !std::isnan(guide.farthest) && float8_gt(distance, guide.farthest);
}

// Whether the row that `scan` would return next is known without another round of the walk.
bool is_at_hand(OpenScan *scan) {
    if (scan->search == nullptr)
        return false;
    if (scan->order)
        return scan->order->is_at_hand(*scan->search, *scan->row_distance);
    return value_or_raise([&] { return scan->search->next_is_at_hand(); });
}

// Whether the search would go on, but for what it would cost to read further rows.
bool is_spent(const OpenScan *scan) { return scan->order && scan->order->is_spent(); }

bool takes_next(OpenScan *scan, bool has_next) {
    ScanGuide *guide = scan->guide;
    return guide->order == ScanGuide::Order::as_found && guide->takes_rows_at_hand != nullptr &&
           (has_next || is_at_hand(scan)) && guide->takes_rows_at_hand(*guide);
}

// Notes in the guide how far the scan has come and, unless it goes on, why. `has_next`: the next
// row has been taken already.
bool may_go_on(OpenScan *scan, bool has_next) {
    ScanGuide *guide = scan->guide;
    const bool at_bound = scan->returned >= scan->terms.most_rows;
    if (guide == nullptr)
        return !at_bound;
    const graph::SearchStatistics statistics = scan->statistics();
    guide->distances = statistics.distances;
    guide->scanned = statistics.scanned;
    guide->rows_read = scan->row_distance == nullptr ? 0 : scan->row_distance->exactly_measured();
    guide->rounds = statistics.rounds;
    guide->within = statistics.within;
    guide->not_in_memory = statistics.not_in_memory;
    if (at_bound) {
        guide->end = ScanGuide::End::setting;
    } else if (scan->terms.most_rows == PG_UINT64_MAX && guide->affordable != nullptr) {
        const uint64 distances = guide->affordable(*guide);
        if (distances == 0 && !takes_next(scan, has_next))
            guide->end = ScanGuide::End::spent;
        else if (scan->order)
            scan->order->limit_distances(*scan->search, guide->distances + distances,
                                         guide->distances_per_row_read);
        else if (scan->search)
            scan->search->limit_distances(guide->distances + distances);
    }
    return guide->end == ScanGuide::End::none;
}

// Whether a row is one that the guide still wants; the scan ends with the first that is not.
bool is_wanted(OpenScan *scan, const std::optional<graph::Hit> &hit) {
    ScanGuide *guide = scan->guide;
    if (guide == nullptr)
        return hit.has_value();
    if (!hit && is_spent(scan))
        guide->end = ScanGuide::End::spent;
    else if (!hit)
        guide->end = scan->statistics().left_out || scan->left_late_out ? ScanGuide::End::walk
                                                                        : ScanGuide::End::all;
    else if (is_beyond(*guide, hit->distance))
        guide->end = ScanGuide::End::farthest;
    return guide->end == ScanGuide::End::none;
}

bool is_passed_over(const OpenScan *scan, const graph::Hit &hit) {
    return scan->guide != nullptr && hit.distance < scan->guide->nearest;
}

// By distance, in terms of the operator that the scan orders by.
std::optional<graph::Hit> take_indexed(OpenScan *scan) {
    if (scan->open == nullptr)
        return std::nullopt;
    if (scan->measured)
        return scan->measured->next(*scan->operator_distance);
    if (scan->order) {
        const std::optional<graph::Hit> hit =
            scan->order->next(*scan->search, scan->open->index->nodes(), *scan->row_distance);
        scan->exactly_measured = scan->row_distance->exactly_measured();
        return hit;
    }
    return value_or_raise([&] { return scan->search->next(); });
}

// The next row of the index that is not to be read in the table.
const std::optional<graph::Hit> &next_indexed(OpenScan *scan) {
    if (scan->knows_indexed)
        return scan->indexed;
    scan->indexed = take_indexed(scan);
    while (scan->indexed && scan->heap_rows->covers(scan->indexed->tid)) {
        CHECK_FOR_INTERRUPTS();
        scan->indexed = take_indexed(scan);
    }
    scan->knows_indexed = true;
    return scan->indexed;
}

// Of the index and of the pages that it is behind by, merged.
std::optional<graph::Hit> take_hit(OpenScan *scan) {
    if (scan->heap_rows == nullptr)
        return take_indexed(scan);
    const std::optional<graph::Hit> row = scan->heap_rows->head();
    const std::optional<graph::Hit> &entry = next_indexed(scan);
    // Rows of the index that the walk has not come to may be nearer.
    if (!entry && (scan->statistics().cut_short || is_spent(scan)))
        return std::nullopt;
    if (row && (!entry || graph::comes_before(row->distance, entry->distance))) {
        scan->heap_rows->take();
        return row;
    }
    scan->knows_indexed = false;
    return entry;
}

}  // namespace

std::optional<graph::Hit> next_hit(OpenScan *scan) {
    while (may_go_on(scan, false)) {
        const std::optional<graph::Hit> hit = take_hit(scan);
        // With the first hit it is known how many there are within the bound.
        if (!is_wanted(scan, hit) || (scan->returned == 0 && !may_go_on(scan, true)))
            break;
        if (is_passed_over(scan, *hit))
            continue;
        const bool late = scan->returned > 0 && graph::comes_before(hit->distance, scan->farthest);
        if (late && scan->terms.late == ScanTerms::Late::left_out) {
            scan->left_late_out = true;
            continue;
        }
        scan->farthest = hit->distance;
        ++scan->returned;
        if (scan->guide != nullptr) {
            scan->guide->rows = scan->returned;
            scan->guide->last = hit->distance;
        }
        return hit;
    }
    return std::nullopt;
}

}  // namespace dvec::postgres
