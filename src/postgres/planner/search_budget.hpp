// How far a VectorSearch goes with the index before it changes over to the exact search.
//
// An index scan whose rows do not pass the query's conditions may go on through the whole table, at
// a higher price for a row than reading the table has. So the work of the scan is counted, and
// compared with the least work that the exact search would have; giving_up.hpp says when that is
// enough. As the prices are only approximate, so is the bound of 1.5 times.
// Nothing is timed: the same data and plan end a scan at the same row, as long as they are in
// memory.
#pragma once

#include "postgres/am/scan_guide.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/planner/giving_up.hpp"

namespace dvec::postgres {

// The work before the first row that every search of an index has.
inline constexpr double start_of_search = 150;

// What the exact search would have to do.
struct ExactWork {
    double rows = 0;  // read, passing or not
    double pages = 0;
    // The least share of the rows that is sure to pass: all where there are no conditions.
    double passing = 0;
    double expected = 0;     // by the planner
    bool scattered = false;  // rows are read as an index leads to them
    double vector_bytes = 0;
    bool out_of_line = false;  // vectors are put together from pieces
    bool sorts_all = false;    // instead of keeping the nearest few
    double walked_bytes = 0;   // what the index's walk measures of a vector
    bool compact = false;      // the index has no vectors: rows are measured in the table
};

// The work that this is, in the unit of the prices (search_budget.cpp), where such a share of the
// rows read passes and such a share of the pages has to be fetched into memory. `kept`: comparisons
// for a row that passes, to find its place among those to be returned.
double work_of(const ExactWork &exact, double passing, double missing, double kept);
// And this: of the search of an index, in the engine's nanoseconds, and of handing out rows.
double work_of_nanoseconds(double nanoseconds);
double work_of_handing_out(double rows);
// Of one distance to so many bytes, on a walk from node to node and in a pass over all nodes; and
// of one to a row that is fetched for it from the table, here and there.
double work_of_walking(double bytes);
double work_of_scanning(double bytes);
double work_of_fetching(const ExactWork &exact);
// Of putting rows in order.
double work_of_sorting(double rows);

// A guide that ends its scan when the budget is spent.
class SearchBudget : public ScanGuide {
  public:
    // For a scan that begins. `exact`: what to compare with; null for no limit. `wanted`: rows that
    // pass; -1: not known.
    void begin_scan(const ExactWork *exact, double wanted = -1);

    // Whether it is worth while to measure all of the index in one pass, for a caller that is going
    // to ask for `wanted` rows; -1: as many as there are, or fewer.
    bool is_worth_measuring_all(double wanted) const;
    // For a caller that knows that the index is the cheaper way.
    void lift() { affordable = nullptr; }

    // To be called before and after each call of the index scan, the reading of the table's pages
    // included.
    void begin_work();
    void end_work();

    // Of the rows handed out, one passed the query's conditions.
    void count_passed() { ++passed_; }

  private:
    static uint64 affordable_distances(ScanGuide &guide);
    static bool may_take_rows_at_hand(ScanGuide &guide);
    double price_of_walking() const { return work_of_walking(exact_.walked_bytes); }
    double price_of_scanning() const { return work_of_scanning(exact_.vector_bytes); }
    WorkSoFar work_so_far() const;
    double work_of_rows() const;
    double share_to_pass() const;
    double work_done() const;
    double price_of_row_within() const;
    double work_of_rest_within() const;
    double work_of_exact_search() const;
    double comparisons(double sorted) const;
    double blocks_read() const;

    ExactWork exact_;
    double wanted_ = -1;
    uint64 passed_ = 0;
    int64 read_before_ = 0;  // blocks, until the last end_work()
    int64 read_at_start_ = 0;
    int64 faulted_at_start_ = 0;  // pages, likewise
    int64 faulted_ = 0;           // since then, until last looked at
    int64 faulted_in_pass_ = 0;   // of them those before the first row
    double missing_ = 0;          // share of the nodes that were not in memory, by a sample
};

}  // namespace dvec::postgres
