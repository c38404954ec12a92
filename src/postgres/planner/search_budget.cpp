#include "postgres/planner/search_budget.hpp"

extern "C" {
#include "executor/instrument.h"
#include "optimizer/optimizer.h"
}

namespace dvec::postgres {

namespace {

// All in units of what it costs to read a row in the table's order and to see that it does not
// pass, some hundred nanoseconds.

// A distance that the walk measures, its share of the walk's other work included.
constexpr double walked_distance = 1.0;
// A distance measured in a pass over all slots.
constexpr double scanned_distance = 0.1;
// Fetching the row that an entry of the index stands for, from a page that is in memory.
constexpr double fetched_row = 4.0;
// Measuring a row that passes, and keeping it if it is near.
constexpr double measured_row = 2.0;
// Reading a page of the table in order, from the operating system.
constexpr double page_in_order = 10.0;

}  // namespace

void SearchBudget::limit_to(double exact_rows, double exact_pages) {
    exact_rows_ = exact_rows;
    exact_pages_ = exact_pages;
    spent = is_spent;
}

void SearchBudget::begin_work() { read_at_start_ = pgBufferUsage.shared_blks_read; }

void SearchBudget::end_work() {
    read_before_ += pgBufferUsage.shared_blks_read - read_at_start_;
    read_at_start_ = pgBufferUsage.shared_blks_read;
}

bool SearchBudget::is_spent(const ScanGuide &guide) {
    const auto &budget = static_cast<const SearchBudget &>(guide);
    // How many rows the scan will hand out is known before it hands out any.
    if (static_cast<double>(guide.within) * fetched_row > budget.work_of_exact_search())
        return true;
    return budget.work_done() > wasted_share * budget.work_of_exact_search();
}

// Pages are read one here, one there, which costs more by as much as the administrator says.
double SearchBudget::work_done() const {
    const auto read =
        static_cast<double>(read_before_ + pgBufferUsage.shared_blks_read - read_at_start_);
    return static_cast<double>(distances - scanned) * walked_distance +
           static_cast<double>(scanned) * scanned_distance +
           static_cast<double>(rows) * fetched_row +
           read * page_in_order * std::max(1.0, random_page_cost / std::max(seq_page_cost, 0.1));
}

// At least: as many rows pass and as many pages have to be read as was seen so far.
double SearchBudget::work_of_exact_search() const {
    const double handed_out = std::max(1.0, static_cast<double>(rows));
    const auto read =
        static_cast<double>(read_before_ + pgBufferUsage.shared_blks_read - read_at_start_);
    const double passing = static_cast<double>(passed_) / handed_out;
    const double missing = std::min(1.0, read / handed_out);
    return exact_rows_ * (1 + passing * measured_row) + exact_pages_ * missing * page_in_order;
}

}  // namespace dvec::postgres
