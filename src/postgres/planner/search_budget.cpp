// Prices were measured in CPU time on tables in memory, 60,000 rows of 64 dimensions and 20,000 of
// 768 stored out of line, and fitted to within half of each other; those for pages that are not in
// the buffer pool are what a solid-state disk takes, rounded in favour of the exact search.
#include "postgres/planner/search_budget.hpp"

#include <algorithm>

extern "C" {
#include "executor/instrument.h"
#include "optimizer/optimizer.h"
}

namespace dvec::postgres {

namespace {

// All in units of what it costs to look at a row, in the table's order, that does not pass: some
// fifty nanoseconds.
constexpr double page_in_order = 20;      // to open a page for that
constexpr double page_fetched = 50;       // to get it into the buffer pool first
constexpr double fetched_scattered = 10;  // times that, for pages here and there, at least
constexpr double row_handed_out = 12;     // by the index: to find the row that an entry stands for
constexpr double row_in_exact_order = 60; // put in order and noted as returned besides
constexpr double vector_assembled = 30;   // from pieces that are stored out of line
constexpr double comparison = 0.4;

constexpr double line_bytes = 64;
// Of vectors one behind the other, here and there in memory, and in pieces.
constexpr double line_in_order = 0.125;
constexpr double line_scattered = 0.4;
constexpr double line_in_pieces = 0.5;

double lines(double bytes) { return bytes / line_bytes; }

}  // namespace

void SearchBudget::begin_scan(const ExactWork *exact) {
    affordable = exact == nullptr ? nullptr : affordable_distances;
    if (exact != nullptr)
        exact_ = *exact;
    passed_ = 0;
    read_before_ = 0;
    begin_work();
}

void SearchBudget::begin_work() { read_at_start_ = pgBufferUsage.shared_blks_read; }

void SearchBudget::end_work() {
    read_before_ += pgBufferUsage.shared_blks_read - read_at_start_;
    begin_work();
}

double SearchBudget::blocks_read() const {
    return static_cast<double>(read_before_ + pgBufferUsage.shared_blks_read - read_at_start_);
}

double SearchBudget::share_in_vain() const {
    return exact_.passing < 1 ? wasted_share : wasted_share_if_all_pass;
}

// Where all rows pass it is known what will be handed out; else that may be in vain.
bool SearchBudget::is_worth_measuring_all(double wanted) const {
    if (affordable == nullptr)
        return true;
    const double measured = exact_.rows * price_of_scanning();
    if (exact_.passing < 1 || wanted < 0)
        return measured < share_in_vain() * work_of_exact_search();
    return measured + std::min(wanted, exact_.rows) * row_handed_out < work_of_exact_search();
}

uint64 SearchBudget::affordable_distances(const ScanGuide &guide) {
    const auto &budget = static_cast<const SearchBudget &>(guide);
    const double exact = budget.work_of_exact_search();
    // How many rows the scan will hand out is known before it hands out any, and by a sample before
    // it measures all.
    const double within = static_cast<double>(guide.within) * row_in_exact_order;
    const double unmeasured =
        std::max(0.0, budget.exact_.rows - static_cast<double>(guide.scanned));
    if (within > 0 && within + unmeasured * budget.price_of_scanning() > exact)
        return 0;
    if (within > 0 && budget.exact_.passing >= 1)
        return PG_UINT64_MAX / 2;
    const double left = budget.share_in_vain() * exact - budget.work_done();
    return left > 0 ? static_cast<uint64>(left / budget.price_of_walking()) + 1 : 0;
}

// From node to node, and of all of them in one pass, which reads the vectors themselves.
double SearchBudget::price_of_walking() const {
    return 4 + line_scattered * lines(exact_.walked_bytes);
}
double SearchBudget::price_of_scanning() const {
    return 1 + line_in_order * lines(exact_.vector_bytes);
}

double SearchBudget::work_done() const {
    const double scattered =
        std::max(fetched_scattered, random_page_cost / std::max(seq_page_cost, 0.1));
    return static_cast<double>(distances - scanned) * price_of_walking() +
           static_cast<double>(scanned) * price_of_scanning() +
           static_cast<double>(rows) * row_handed_out +
           blocks_read() * page_fetched * scattered;
}

// At least: as many rows pass, and as many pages are not in the buffer pool, as was seen so far.
double SearchBudget::work_of_exact_search() const {
    const double handed_out = std::max(1.0, static_cast<double>(rows));
    const double passing =
        std::max(exact_.passing, std::min(1.0, static_cast<double>(passed_) / handed_out));
    const double missing = std::min(1.0, blocks_read() / handed_out);
    const double measured =
        1 + (exact_.out_of_line ? vector_assembled + line_in_pieces * lines(exact_.vector_bytes)
                                : line_in_order * lines(exact_.vector_bytes));
    const double kept =
        exact_.sorts_all ? comparison * std::log2(std::max(2.0, exact_.rows * passing)) : 0;
    return exact_.rows * (1 + passing * (measured + kept)) +
           exact_.pages * (page_in_order + missing * page_fetched);
}

}  // namespace dvec::postgres
