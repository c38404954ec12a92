#include "postgres/am/operator_distance.hpp"

#include <algorithm>

#include "engine/distance/rounding.hpp"
#include "engine/distance/sparse.hpp"

namespace dvec::postgres {

namespace {

std::size_t terms_of(const IndexSupport &support, int dimensions) {
    const auto all = static_cast<std::size_t>(dimensions);
    // The elements of two sparse vectors together.
    return support.element == distance::Element::sparse_float32
               ? 2 * distance::indexed_capacity(support.element, all)
               : all;
}

}  // namespace

OperatorDistance::OperatorDistance(ScanKey key, const IndexSupport &support, int dimensions)
    : function_(&key->sk_func),
      collation_(key->sk_collation),
      query_(PointerGetDatum(PG_DETOAST_DATUM(key->sk_argument))),
      support_(support),
      dimensions_(dimensions),
      room_(palloc(support.value_bytes(dimensions))),
      terms_(terms_of(support, dimensions)) {
    if (support.metric != distance::Metric::inner_product)
        return;
    const IndexSupport::Encoded query = support.encode(query_, IndexSupport::Use::query);
    const void *bytes = support.fit == nullptr ? query.bytes
                                               : support.fit(support, query, support.element,
                                                             IndexSupport::Use::query);
    if (bytes != nullptr)
        query_length_ = length_of(bytes);
}

OperatorDistance *OperatorDistance::of(ScanKey key, const IndexSupport &support, int dimensions) {
    return new (palloc(sizeof(OperatorDistance))) OperatorDistance(key, support, dimensions);
}

double OperatorDistance::to(const void *row) {
    support_.decode(row, dimensions_, room_);
    return DatumGetFloat8(FunctionCall2Coll(function_, collation_, PointerGetDatum(room_), query_));
}

bool OperatorDistance::measure(const graph::Hit &, const void *stored, double *distance) {
    *distance = to(stored);
    return true;
}

double OperatorDistance::least(double distance, const void *row) {
    if (support_.metric == distance::Metric::inner_product)
        row_length_ = std::max(row_length_, length_of(row));
    return least(distance);
}

double OperatorDistance::least(double distance) const {
    return distance::least_of_other(support_.metric, distance, terms_, query_length_ * row_length_);
}

double OperatorDistance::length_of(const void *row) const {
    const distance::Kernel *kernel =
        distance::find_kernel(support_.element, distance::Metric::inner_product);
    const auto dimensions = static_cast<std::size_t>(dimensions_);
    return std::sqrt(-static_cast<double>(kernel->distance(row, row, dimensions)));
}

bool is_foreign_operator(ScanKey key, const IndexSupport &support) {
    return (key->sk_flags & SK_ISNULL) == 0 && key->sk_func.fn_addr != support.distance;
}

}  // namespace dvec::postgres
