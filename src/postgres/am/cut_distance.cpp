#include "postgres/am/cut_distance.hpp"

#include <algorithm>
#include <cmath>

#include "engine/distance/rounding.hpp"
#include "engine/distance/sparse.hpp"
#include "postgres/am/operator_distance.hpp"
#include "postgres/relation/opclass.hpp"

namespace dvec::postgres {

namespace {

double squared_length(const distance::SparseView &vector) {
    return double{distance::squared_norm(vector)};
}

}  // namespace

CutDistance *CutDistance::of(IndexScanDesc scan, const store::Shape &shape, const void *query,
                             const graph::Search &search) {
    auto *distance = new (palloc(sizeof(CutDistance))) CutDistance(TableReading(scan, search, 0));
    distance->kernel_ = shape.kernel();
    distance->query_ = query;
    distance->dimensions_ = shape.dimensions;
    distance->foreign_ =
        is_foreign_operator(&scan->orderByData[0], *index_support(scan->indexRelation));
    return distance;
}

bool CutDistance::is_cut(const void *stored) const {
    return static_cast<const distance::SparseHead *>(stored)->count >
           distance::indexed_capacity(kernel_->element, dimensions_);
}

// By our operator, a row that was not cut is as far as the search says.
bool CutDistance::measure(const graph::Hit &hit, const void *stored, double *distance) {
    if (!foreign_ && !is_cut(stored)) {
        *distance = hit.distance;
        return true;
    }
    return table_.measure(hit.tid, distance);
}

double CutDistance::least(double distance, const void *stored) {
    overlooked_ =
        std::max(overlooked_, distance::most_overlooked(query_, stored, *kernel_, dimensions_));
    if (kernel_->metric == distance::Metric::inner_product && (foreign_ || is_cut(stored))) {
        const auto query = distance::SparseView::of(
            query_, distance::query_capacity(kernel_->element, dimensions_));
        const auto row = distance::SparseView::of(
            stored, distance::indexed_capacity(kernel_->element, dimensions_));
        const double rest = static_cast<const distance::SparseHead *>(stored)->norm;
        lengths_ = std::max(lengths_,
                            std::sqrt(squared_length(query) * (squared_length(row) + rest * rest)));
    }
    return least(distance);
}

// Estimates and the operator's distances are also rounded in different ways.
double CutDistance::least(double distance) const {
    if (overlooked_ == 0 && !foreign_)
        return distance;
    double bound = distance;
    if (kernel_->metric == distance::Metric::l2_squared)
        bound = std::sqrt(std::max(0.0, distance * distance - 2 * overlooked_));
    else if (kernel_->metric == distance::Metric::l1)
        bound -= 2 * overlooked_;
    else
        bound -= overlooked_;
    const std::size_t terms = distance::query_capacity(kernel_->element, dimensions_) +
                              distance::indexed_capacity(kernel_->element, dimensions_);
    return distance::least_of_other(kernel_->metric, bound, terms, lengths_);
}

}  // namespace dvec::postgres
