// Prices were measured in CPU time on tables in memory, 60,000 rows of 64 dimensions and 20,000 of
// 768 stored out of line, and fitted to within half of each other; those for pages that are not in
// the buffer pool are what a solid-state disk takes, rounded in favour of the exact search.
#include "postgres/planner/search_budget.hpp"

#include <sys/resource.h>

#include <algorithm>

#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/planner.hpp"

namespace dvec::postgres {

namespace {

// The unit is the cost of reading a row in the table's order and finding that it does not pass,
// about fifty nanoseconds.
constexpr double unit_nanoseconds = 50;
constexpr double page_in_order = 20;      // to open a page for that
constexpr double page_fetched = 50;       // to get it into the buffer pool first
constexpr double fetched_scattered = 10;  // times that, for pages here and there, at least
constexpr double page_faulted = 1500;  // one of the index's files, here and there: nothing overlaps
constexpr double row_handed_out = 12;  // by the index: to find the row that an entry stands for
constexpr double row_fetched = 8;      // here and there, from a page that is in the buffer pool
constexpr double row_in_exact_order = 60;  // put in order and noted as returned besides
constexpr double vector_assembled = 30;    // from pieces that are stored out of line
constexpr double comparison = 0.4;

constexpr double line_bytes = 64;
// Of vectors one behind the other, here and there in memory, and in pieces.
constexpr double line_in_order = 0.125;
constexpr double line_scattered = 0.4;
constexpr double line_in_pieces = 0.5;

double lines(double bytes) { return bytes / line_bytes; }
double pages(double bytes) { return bytes / BLCKSZ; }

double page_fetched_scattered() {
    return page_fetched *
           std::max(fetched_scattered, random_page_cost / std::max(seq_page_cost, 0.1));
}

// Of a row in the table, where it has been read.
double price_of_measuring(const ExactWork &exact, double missing) {
    return 1 + (exact.out_of_line ? vector_assembled + line_in_pieces * lines(exact.vector_bytes) +
                                        missing * pages(exact.vector_bytes) * page_fetched
                                  : line_in_order * lines(exact.vector_bytes));
}

// Pages of the index's files that this process had to wait for: they are mapped.
int64 pages_faulted() {
    rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_majflt : 0;
}
constexpr uint64 rows_between_faults = 16;  // that call takes as long as half a row
constexpr uint64 rows_that_tell = 32;       // by the pages they took what the others will take

}  // namespace

void SearchBudget::begin_scan(const ExactWork *exact) {
    affordable = exact == nullptr ? nullptr : affordable_distances;
    takes_rows_at_hand = may_take_rows_at_hand;
    if (exact != nullptr)
        exact_ = *exact;
    passed_ = 0;
    read_before_ = 0;
    faulted_at_start_ = pages_faulted();
    faulted_ = faulted_in_pass_ = 0;
    missing_ = 0;
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

// Where all rows pass, every row handed out is of use. Otherwise the work may be in vain. An index
// without vectors could only do what the exact search does.
bool SearchBudget::is_worth_measuring_all(double wanted) const {
    if (affordable == nullptr)
        return true;
    if (exact_.compact)
        return false;
    const double measured = exact_.rows * price_of_scanning();
    if (exact_.passing < 1 || wanted < 0)
        return measured < share_in_vain() * work_of_exact_search();
    return measured + std::min(wanted, exact_.rows) * row_handed_out < work_of_exact_search();
}

uint64 SearchBudget::affordable_distances(ScanGuide &guide) {
    auto &budget = static_cast<SearchBudget &>(guide);
    if (guide.rows % rows_between_faults == 0)
        budget.faulted_ = pages_faulted() - budget.faulted_at_start_;
    // Only the sample was measured so far. Every query measures the same sample, so its pages may
    // be in memory when others are not: the share of missing pages is the greater of what its page
    // faults show and what was found for other nodes (not_in_memory).
    if (guide.scanned == 0 && guide.rows == 0 && guide.distances > 0)
        budget.missing_ =
            std::min(1.0, std::max(guide.not_in_memory, static_cast<double>(budget.faulted_) /
                                                            static_cast<double>(guide.distances)));
    if (guide.scanned > 0 && guide.rows == 0)
        budget.faulted_in_pass_ = budget.faulted_;
    const double exact = budget.work_of_exact_search();
    if (guide.within > 0 && budget.work_of_rest_within() > exact)
        return 0;
    if (guide.within > 0 && budget.exact_.passing >= 1)
        return PG_UINT64_MAX / 2;
    const double left = budget.share_in_vain() * exact - budget.work_done();
    return left > 0 ? static_cast<uint64>(left / budget.price_of_walking()) + 1 : 0;
}

// The first round is as wide as the LIMIT asks for, and may have spent the budget before its first
// row. What counts then is what it costs to go on, and that is little while rows are at hand.
bool SearchBudget::may_take_rows_at_hand(ScanGuide &guide) {
    const auto &budget = static_cast<const SearchBudget &>(guide);
    const double in_vain = guide.rows == 0 ? 0 : 1 - budget.share_passed();
    return in_vain * budget.work_of_rows() < wasted_share_at_hand * budget.work_of_exact_search();
}

// The price of a distance on a walk from node to node; below, that of one in a pass over all nodes,
// which reads whole vectors.
double SearchBudget::price_of_walking() const {
    return 4 + line_scattered * lines(exact_.walked_bytes);
}
double SearchBudget::price_of_scanning() const {
    return 1 + line_in_order * lines(exact_.vector_bytes);
}

double SearchBudget::price_of_handing_out() const {
    return row_handed_out + (exact_.compact ? row_fetched + price_of_measuring(exact_, 0) : 0);
}

// The work left for a scan within a bound: measuring the remaining nodes in a pass, and handing out
// the rows within the bound. Their number is estimated by a sample until all are measured, and
// known from then on.
double SearchBudget::work_of_rest_within() const {
    const double measured =
        price_of_scanning() + missing_ * pages(exact_.vector_bytes) * page_fetched;
    const double unmeasured = std::max(0.0, exact_.rows - static_cast<double>(scanned));
    return (static_cast<double>(within) - static_cast<double>(rows)) * price_of_row_within() +
           unmeasured * measured;
}

// The index may be in memory when the table is not, so after some rows the pages read for them are
// counted.
double SearchBudget::price_of_row_within() const {
    if (rows < rows_that_tell)
        return row_in_exact_order + missing_ * (page_faulted + page_fetched_scattered());
    const double waited = blocks_read() * page_fetched_scattered() +
                          static_cast<double>(faulted_ - faulted_in_pass_) * page_faulted;
    return row_in_exact_order + waited / static_cast<double>(rows);
}

double SearchBudget::work_of_rows() const {
    return static_cast<double>(rows) * price_of_handing_out() +
           blocks_read() * page_fetched_scattered();
}

double SearchBudget::work_done() const {
    return static_cast<double>(distances - scanned) * price_of_walking() +
           static_cast<double>(scanned) * price_of_scanning() + work_of_rows() +
           // Page faults of a pass in order are not counted: the system reads ahead.
           (scanned == 0 ? static_cast<double>(faulted_) * page_faulted : 0);
}

double SearchBudget::share_passed() const {
    return std::min(1.0, static_cast<double>(passed_) / std::max(1.0, static_cast<double>(rows)));
}

// The least that the exact search costs, assuming the share of passing rows and of pages missing
// from the buffer pool that was observed so far.
double SearchBudget::work_of_exact_search() const {
    const double handed_out = std::max(1.0, static_cast<double>(rows));
    const double passing = std::max(exact_.passing, share_passed());
    const double missing = std::min(1.0, std::max(missing_, blocks_read() / handed_out));
    const double kept = exact_.sorts_all ? std::log2(std::max(2.0, exact_.rows * passing)) : 0;
    return work_of(exact_, passing, missing, kept);
}

double work_of(const ExactWork &exact, double passing, double missing, double kept) {
    const double measured = price_of_measuring(exact, missing);
    double read = exact.rows + exact.pages * page_in_order;
    if (exact.scattered)
        read = std::min(read, exact.rows * row_fetched);
    read += exact.pages * missing * page_fetched;
    return read + exact.rows * passing * (measured + comparison * kept);
}

double work_of_nanoseconds(double nanoseconds) { return nanoseconds / unit_nanoseconds; }
double work_of_handing_out(double rows) { return rows * row_handed_out; }

}  // namespace dvec::postgres
