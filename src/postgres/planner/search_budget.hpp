// How far a VectorSearch goes with the index before it changes over to the exact search.
//
// An index scan whose rows do not pass the query's conditions may go on through the whole table, at
// a higher price for a row than reading the table has. So it is counted what the scan has done, and
// what the exact search would have to do at least; where the first comes to wasted_share of the
// second, the scan ends. Whatever the planner believed, a query then costs at most 1 + wasted_share
// of the exact search. Nothing is timed: the same data and plan end a scan at the same row.
#pragma once

#include "postgres/am/scan_guide.hpp"
#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

inline constexpr double wasted_share = 0.5;

// A guide that ends its scan when the budget is spent.
class SearchBudget : public ScanGuide {
  public:
    // Unlimited until the next limit_to().
    SearchBudget() { spent = nullptr; }

    // `rows` on `pages`: what the exact search has to read.
    void limit_to(double exact_rows, double exact_pages);
    void lift() { spent = nullptr; }

    // To be called around all that the scan does for its caller, its table's pages included.
    void begin_work();
    void end_work();

    // Of the rows handed out, one passed the query's conditions.
    void count_passed() { ++passed_; }
    uint64 passed() const { return passed_; }
    void begin_scan() { passed_ = 0; read_before_ = 0; }

  private:
    static bool is_spent(const ScanGuide &guide);
    double work_done() const;
    double work_of_exact_search() const;

    double exact_rows_ = 0;
    double exact_pages_ = 0;
    uint64 passed_ = 0;
    int64 read_before_ = 0;  // blocks, until the last end_work()
    int64 read_at_start_ = 0;
};

}  // namespace dvec::postgres
