#include "postgres/am/table_distance.hpp"

#include <algorithm>
#include <cmath>

#include "engine/distance/compact.hpp"

namespace dvec::postgres {

namespace {

constexpr double spreads_allowed = 3;
constexpr uint64 rows_in_addition = 2;

double square(double value) { return value * value; }

}  // namespace

TableDistance *TableDistance::of(IndexScanDesc scan, const store::Shape &shape, const void *query,
                                 const graph::Search &search) {
    auto *distance = new (palloc(sizeof(TableDistance)))
        TableDistance(TableReading(scan, search, rows_in_addition));
    const distance::CompactHeader header = distance::compact_header(query);
    distance->metric_ = shape.metric;
    distance->width_ = static_cast<double>(distance::compact_width(shape.dimensions));
    distance->query_length_ = std::sqrt(header.square);
    distance->query_error_ = double{header.error};
    return distance;
}

bool TableDistance::measure(const graph::Hit &hit, const void *, double *distance) {
    return table_.measure(hit.tid, distance);
}

// What was taken from either vector is perpendicular to it, so only the part of the other that is
// perpendicular to it, too, can show; of that one dimension's share.
double TableDistance::spread_of(double distance, const void *stored) const {
    const distance::CompactHeader row = distance::compact_header(stored);
    // Each element's error is added or taken away, and mostly one makes up for another.
    if (metric_ == distance::Metric::l1)
        return std::hypot(double{row.error}, query_error_);
    const double length = std::sqrt(row.square);
    const double lengths = length * query_length_;
    if (!(lengths > 0))
        return 0;
    double cosine = 0;
    switch (metric_) {
        case distance::Metric::cosine:
            cosine = 1 - distance;
            break;
        case distance::Metric::inner_product:
            cosine = -distance / lengths;
            break;
        default:
            cosine = (row.square + square(query_length_) - square(distance)) / (2 * lengths);
    }
    const double sine = std::sqrt(std::max(0.0, 1 - square(std::min(cosine, 1.0))));
    const double error = std::hypot(query_length_ * double{row.error}, length * query_error_);
    // Where the two point in one direction, what was taken from both is left.
    const double spread =
        std::hypot(error * sine, double{row.error} * query_error_) / std::sqrt(width_);
    return metric_ == distance::Metric::cosine ? spread / lengths : spread;
}

double TableDistance::least(double distance, const void *stored) {
    spread_ = std::max(spread_, spread_of(distance, stored));
    return least(distance);
}

double TableDistance::least(double distance) const {
    const double allowance = spreads_allowed * spread_;
    if (metric_ != distance::Metric::l2_squared)
        return distance - allowance;
    // Minus infinity stands for no bound.
    return distance > 0 ? std::sqrt(std::max(0.0, square(distance) - 2 * allowance)) : distance;
}

}  // namespace dvec::postgres
