#include "postgres/am/table_distance.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/distance/compact.hpp"
#include "postgres/relation/compact_rows.hpp"

namespace dvec::postgres {

namespace {

constexpr double spreads_allowed = 3;
// Among embeddings, what 1 bit tells and the distances have a correlation of 0.4 at least, mostly
// of 0.7, among the rows that a search measures; among near copies of each other it is about 0. Of
// fewer rows that says little.
constexpr double least_correlation = 0.3;
constexpr double fewest_to_judge = 16;
// Of the rows that are returned so many may be expected to be others.
constexpr double most_missed = 0.05;
// By so many times the candidates a search grows at most.
constexpr double most_growth = 8;
constexpr uint64 rows_in_addition = 2;

}  // namespace

TableDistance *TableDistance::of(IndexScanDesc scan, const store::Shape &shape, const void *query,
                                 const graph::Search &search, const ScanTerms &terms,
                                 uint64 entries) {
    auto *distance = new (palloc(sizeof(TableDistance)))
        TableDistance(TableReading(scan, search, rows_in_addition));
    const distance::CompactHeader header = distance::compact_header(query);
    distance->metric_ = shape.metric;
    distance->from_query_ = {shape.metric, shape.dimensions, query, double{header.error}};
    const auto candidates = static_cast<uint64>(terms.ef);
    distance->tells_bounds_ = candidates < entries;
    // A scan that ends with its candidates reads no more than these.
    if (terms.most_rows > candidates)
        distance->most_out_of_order_ = most_growth * static_cast<double>(candidates);
    if (distance->tells_bounds_ && shape.metric == distance::Metric::l1 && stored_bits(shape) < 8)
        distance->enough_ = candidates;
    return distance;
}

bool TableDistance::measure(const graph::Hit &hit, const void *, double *distance) {
    const double told = hit.distance;
    if (!table_.measure(hit.tid, distance))
        return false;
    if (std::isfinite(told) && std::isfinite(*distance))
        order_.add(told, *distance);
    return true;
}

bool TableDistance::is_out_of_order() const {
    return order_.count() >= fewest_to_judge && order_.count() < most_out_of_order_ &&
           order_.value() < least_correlation;
}

void TableDistance::Correlation::add(double told, double exact) {
    told_last_ = told;
    const bool is_nearest = any_ && exact < nearest_;
    if (is_nearest) {
        std::swap(told, told_of_nearest_);
        std::swap(exact, nearest_);
    }
    if (any_)
        return take(told, exact);
    any_ = true;
    told_of_nearest_ = told;
    nearest_ = exact;
}

void TableDistance::Correlation::take(double told, double exact) {
    ++count_;
    const double beside_told = told - told_;
    const double beside_exact = exact - exact_;
    told_ += beside_told / count_;
    exact_ += beside_exact / count_;
    told_told_ += beside_told * (told - told_);
    exact_exact_ += beside_exact * (exact - exact_);
    told_exact_ += beside_told * (exact - exact_);
}

double TableDistance::Correlation::value() const {
    if (!(exact_exact_ > 0))
        return 1;
    return told_told_ > 0 ? told_exact_ / (std::sqrt(told_told_) * std::sqrt(exact_exact_)) : 0;
}

// By the regression of the table's distances on those that were told: a row that was told to be at
// t is at a + b t, but for a normal error with the spread s. Rows that follow are told as densely
// as those before were, evenly spread. Of these are expected, with z = (distance - a - b t) / s for
// the last t,
//
//     rows / (sqrt(12) spread of t) * s / b * (z Phi(z) + phi(z))
double TableDistance::Correlation::expected_nearer(double distance) const {
    if (!(exact_exact_ > 0))
        return 0;
    const double together = value();
    if (!(together > 0))
        return get_float8_infinity();
    const double told = std::sqrt(told_told_ / count_);
    const double exact = std::sqrt(exact_exact_ / count_);
    const double apart = std::sqrt(std::max(0.0, 1 - together * together));
    const double expected = exact_ + together * exact * (told_last_ - told_) / told;
    if (!(apart > 0))
        return 0;
    const double z = (distance - expected) / (exact * apart);
    const double below = std::erfc(-z / std::sqrt(2.0)) / 2;
    const double density = std::exp(-z * z / 2) / std::sqrt(2 * M_PI);
    return count_ / std::sqrt(12.0) * apart / together * std::max(0.0, z * below + density);
}

bool TableDistance::probably_misses(double distance, uint64 rows) const {
    return order_.count() >= fewest_to_judge && order_.count() < most_out_of_order_ &&
           order_.expected_nearer(distance) > most_missed * static_cast<double>(rows);
}

double TableDistance::least(double distance, const void *stored) {
    spread_ = std::max(spread_, metric_ == distance::Metric::l1 ? from_query_.most_of_sums(stored)
                                                                : from_query_.to(distance, stored));
    return least(distance);
}

double TableDistance::least(double distance) const {
    if (!tells_bounds_)
        return -get_float8_infinity();
    if (metric_ == distance::Metric::l1)
        return distance - spread_;
    // Minus infinity stands for no bound, and nothing is nearer than 0.
    if (metric_ == distance::Metric::l2_squared && !(distance > 0))
        return distance;
    return from_query_.moved(distance, -spreads_allowed * spread_);
}

}  // namespace dvec::postgres
