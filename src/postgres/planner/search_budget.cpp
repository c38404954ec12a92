// Prices were measured in CPU time (Zen 5, AVX-512) on tables in memory of 500 to 100,000 rows of 3
// to 768 dimensions, in line and out of line, whole and compact, and fitted to within half of each
// other; those for pages that are not in the buffer pool are what a solid-state disk takes, rounded
// in favour of the exact search.
#include "postgres/planner/search_budget.hpp"

#include <sys/resource.h>

#include <algorithm>

#include "postgres/bridge/executor.hpp"
#include "postgres/bridge/planner.hpp"

namespace dvec::postgres {

namespace {

// The unit is fifty nanoseconds.
constexpr double unit_nanoseconds = 50;
constexpr double row_read = 0.6;          // in the table's order, to find that it does not pass
constexpr double page_in_order = 5;       // to open a page for that
constexpr double page_fetched = 50;       // to get it into the buffer pool first
constexpr double fetched_scattered = 10;  // times that, for pages here and there, at least
constexpr double page_faulted = 1500;  // one of the index's files, here and there: nothing overlaps
constexpr double row_handed_out = 8;   // by the index: to find the row that an entry stands for
constexpr double row_fetched = 8;      // here and there, from a page that is in the buffer pool
constexpr double row_in_exact_order = 12;  // put in order and noted as returned besides
constexpr double row_measured = 1.5;       // by the operator, and offered to a sort
constexpr double vector_assembled = 28;    // from pieces that are stored out of line
constexpr double comparison = 0.15;

constexpr double line_bytes = 64;
// Of vectors one behind the other in the table, and in pieces.
constexpr double line_in_order = 0.06;
constexpr double line_in_pieces = 0.4;
// A distance of a walk from node to node, and of a pass over the nodes one behind the other; and
// each line of it.
constexpr double node_walked = 0.8;
constexpr double line_walked = 0.16;
constexpr double node_scanned = 0.3;
constexpr double line_scanned = 0.08;

// What the engine reckons with (engine/graph/filter_plan.hpp) was measured on a machine that takes
// so many times as long.
constexpr double slower = 2;

double lines(double bytes) { return bytes / line_bytes; }
double pages(double bytes) { return bytes / BLCKSZ; }

double page_fetched_scattered() {
    return page_fetched *
           std::max(fetched_scattered, random_page_cost / std::max(seq_page_cost, 0.1));
}

// Of a row in the table, where it has been read.
double price_of_measuring(const ExactWork &exact, double missing) {
    return row_measured + (exact.out_of_line
                               ? vector_assembled + line_in_pieces * lines(exact.vector_bytes) +
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

void SearchBudget::begin_scan(const ExactWork *exact, double wanted) {
    affordable = exact == nullptr ? nullptr : affordable_distances;
    takes_rows_at_hand = may_take_rows_at_hand;
    if (exact != nullptr)
        exact_ = *exact;
    distances_per_row_read = exact == nullptr ? 0 : work_of_fetching(exact_) / price_of_walking();
    // The index scan does this too, but where parameters have changed not before it is asked for a
    // row, which is after it was weighed.
    forget_scan();
    wanted_ = wanted;
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

// Where all rows pass, every row handed out is of use. Otherwise the work may be in vain. An index
// without vectors could only do what the exact search does.
bool SearchBudget::is_worth_measuring_all(double wanted) const {
    if (affordable == nullptr)
        return true;
    if (exact_.compact)
        return false;
    const double measured = exact_.rows * price_of_scanning();
    if (exact_.passing < 1 || wanted < 0)
        return measured < share_in_vain(exact_.passing >= 1) * work_of_exact_search();
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
    const WorkSoFar work = budget.work_so_far();
    if (guide.within > 0 && budget.work_of_rest_within() > work.exact)
        return 0;
    if (guide.within > 0 && work.all_pass)
        return PG_UINT64_MAX / 2;
    const double left = work.share_to_walk() * work.exact - work.done;
    return left > 0 ? static_cast<uint64>(left / budget.price_of_walking()) + 1 : 0;
}

bool SearchBudget::may_take_rows_at_hand(ScanGuide &guide) {
    return static_cast<const SearchBudget &>(guide).work_so_far().takes_row_at_hand();
}

WorkSoFar SearchBudget::work_so_far() const {
    return {.exact = work_of_exact_search(),
            .done = work_done(),
            .of_rows = work_of_rows(),
            .rows = rows,
            .passed = passed_,
            .wanted = wanted_,
            .all_pass = exact_.passing >= 1,
            .in_first_round = rounds == 0};
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
    // The condition is checked on the row.
    const double price = row_in_exact_order + price_of_measuring(exact_, 0);
    if (rows < rows_that_tell)
        return price + missing_ * (page_faulted + page_fetched_scattered());
    const double waited = blocks_read() * page_fetched_scattered() +
                          static_cast<double>(faulted_ - faulted_in_pass_) * page_faulted;
    return price + waited / static_cast<double>(rows);
}

double SearchBudget::work_of_rows() const {
    return static_cast<double>(rows) * row_handed_out +
           static_cast<double>(rows_read) * work_of_fetching(exact_) +
           blocks_read() * page_fetched_scattered();
}

double SearchBudget::work_done() const {
    return static_cast<double>(distances - scanned) * price_of_walking() +
           static_cast<double>(scanned) * price_of_scanning() + work_of_rows() +
           // Page faults of a pass in order are not counted: the system reads ahead.
           (scanned == 0 ? static_cast<double>(faulted_) * page_faulted : 0);
}

// Until some rows have been seen, what the planner expects counts as much as so many of them.
double SearchBudget::share_to_pass() const {
    constexpr double rows_of_planner = 2;
    return std::min(1.0, (static_cast<double>(passed_) + rows_of_planner * exact_.expected) /
                             (static_cast<double>(rows) + rows_of_planner));
}

// The least that the exact search costs, assuming the share of passing rows and of pages missing
// from the buffer pool that was observed so far.
double SearchBudget::work_of_exact_search() const {
    const double handed_out = std::max(1.0, static_cast<double>(rows));
    const double passing = std::max(exact_.passing, share_to_pass());
    const double missing = std::min(1.0, std::max(missing_, blocks_read() / handed_out));
    return work_of(exact_, passing, missing, comparisons(exact_.rows * passing));
}

// For each of so many rows, to sort them or to keep the nearest few, which most rows are none of.
double SearchBudget::comparisons(double sorted) const {
    if (exact_.sorts_all || wanted_ < 0)
        return exact_.sorts_all ? std::log2(std::max(2.0, sorted)) : 0;
    return std::log2(std::max(2.0, wanted_)) * std::min(1.0, 4 * wanted_ / std::max(1.0, sorted));
}

double work_of(const ExactWork &exact, double passing, double missing, double kept) {
    const double measured = price_of_measuring(exact, missing);
    double read = exact.rows * row_read + exact.pages * page_in_order;
    if (exact.scattered)
        read = std::min(read, exact.rows * row_fetched);
    read += exact.pages * missing * page_fetched;
    return read + exact.rows * passing * (measured + comparison * kept);
}

double work_of_nanoseconds(double nanoseconds) { return nanoseconds / (slower * unit_nanoseconds); }
double work_of_handing_out(double rows) { return rows * row_handed_out; }
double work_of_walking(double bytes) { return node_walked + line_walked * lines(bytes); }
double work_of_scanning(double bytes) { return node_scanned + line_scanned * lines(bytes); }
double work_of_sorting(double rows) { return rows * comparison * std::log2(std::max(2.0, rows)); }
double work_of_fetching(const ExactWork &exact) {
    return row_fetched + price_of_measuring(exact, 0);
}

}  // namespace dvec::postgres
