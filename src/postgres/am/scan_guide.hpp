// How a caller that knows more about the query than an index scan does controls the scan, and what
// the scan reports to it. A scan without a guide follows the session's settings.
#pragma once

#include <limits>

#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

struct ScanGuide {
    enum class Order : unsigned char {
        // Rows in order, as the walk over the graph finds them. The scan ends with the walk, and
        // rows that it missed are left out, so no row is ever returned out of order.
        as_found,
        // All rows are measured first, so none is missed and the order is that of the operator.
        exact
    };
    // Whether hnsw.iterative_scan and its like may end the scan.
    enum class Extent : unsigned char { as_set, everything };
    // Why next_tuple had no more rows.
    enum class End : unsigned char {
        none,      // the scan has not ended
        all,       // every row of the index was returned
        walk,      // as_found: the walk is over; there may be more
        farthest,  // the next row is farther than wanted
        spent,     // the caller cannot afford more distances; there may be more rows
        setting    // the session's settings end it
    };

    Order order = Order::as_found;
    Extent extent = Extent::as_set;
    // Rows nearer than this are skipped. They count as measured but not as returned.
    double nearest = -std::numeric_limits<double>::infinity();
    // Rows farther than this are not wanted. In terms of the operator's distances, among which NaN
    // is the greatest; a bound of NaN means none.
    double farthest = std::numeric_limits<double>::quiet_NaN();
    // How many more distances the caller can afford; 0 ends the scan. Asked before each row, with
    // the numbers below up to date, unless the settings end the scan anyway. Must not raise or
    // jump. Null: any number.
    uint64 (*affordable)(ScanGuide &) = nullptr;
    // As found: asked where that is none, and the next row is known without another round of the
    // walk: whether it is wanted all the same. The walk goes no further then. Must not raise or
    // jump.
    bool (*takes_rows_at_hand)(ScanGuide &) = nullptr;
    // What it costs to read a row in the table, in distances; rows that a search reads before the
    // next time that affordable() is asked count as so many.
    double distances_per_row_read = 0;

    // Since the scan began, or began again.
    uint64 rows = 0;       // handed out
    uint64 distances = 0;  // measured
    uint64 scanned = 0;    // of them in passes over all slots, which cost a fraction each
    uint64 rows_read = 0;  // in the table, since the index does not have all of their vectors
    uint64 rounds = 0;     // of the walk, after the first
    uint64 within = 0;     // exact: how many are not farther, but for rows that are not linked yet;
                           // by a sample, until all are scanned
    double not_in_memory = 0;  // share of the vectors, by another sample, with that one
    double last = 0;           // distance of the last row handed out, in terms of the operator
    End end = End::none;

    void forget_scan() {
        rows = distances = scanned = rows_read = rounds = within = 0;
        not_in_memory = 0;
        end = End::none;
    }
};

// To be called before the scan's first row is asked for; holds for all its rescans. `guide` must
// stay where it is for as long as rows are asked for, and may be changed before a rescan.
void guide_scan(IndexScanDesc descriptor, ScanGuide *guide);

// Of the row that a scan has handed out last, in terms of the operator; guided or not.
double distance_of_last_row(IndexScanDesc descriptor);

}  // namespace dvec::postgres
