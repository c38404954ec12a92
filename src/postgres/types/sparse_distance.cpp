// Distances, norm and normalisation of sparse vectors as SQL sees them: the engine's kernels, the
// same that order an index, finished in double.
#include "engine/distance/sparse.hpp"

#include "postgres/types/sparse.hpp"

namespace dvec::postgres {
namespace {

struct Operands {
    distance::SparseView left;
    distance::SparseView right;
};

// The two vectors of a distance, which must have as many dimensions each.
Operands operands(FunctionCallInfo fcinfo) {
    const SparseVector *left = sparse_argument(fcinfo, 0);
    const SparseVector *right = sparse_argument(fcinfo, 1);
    if (left->dimensions != right->dimensions)
        failure::different_dimensions(SparseVector::type_name, left->dimensions, right->dimensions);
    return {left->view(), right->view()};
}

double l2_squared(FunctionCallInfo fcinfo) {
    const auto [left, right] = operands(fcinfo);
    return distance::l2_squared(left, right);
}

double dot(FunctionCallInfo fcinfo) {
    const auto [left, right] = operands(fcinfo);
    return distance::inner_product(left, right);
}

}  // namespace

DVEC_FUNCTION(sparsevec_l2_distance) { PG_RETURN_FLOAT8(std::sqrt(l2_squared(fcinfo))); }
DVEC_FUNCTION(sparsevec_l2_squared_distance) { PG_RETURN_FLOAT8(l2_squared(fcinfo)); }
DVEC_FUNCTION(sparsevec_inner_product) { PG_RETURN_FLOAT8(dot(fcinfo)); }
DVEC_FUNCTION(sparsevec_negative_inner_product) { PG_RETURN_FLOAT8(-dot(fcinfo)); }

DVEC_FUNCTION(sparsevec_cosine_distance) {
    const auto [left, right] = operands(fcinfo);
    PG_RETURN_FLOAT8(distance::cosine_distance(distance::cosine_parts(left, right)));
}

DVEC_FUNCTION(sparsevec_l1_distance) {
    const auto [left, right] = operands(fcinfo);
    PG_RETURN_FLOAT8(distance::l1(left, right));
}

DVEC_FUNCTION(sparsevec_l2_norm) { PG_RETURN_FLOAT8(norm(sparse_argument(fcinfo, 0))); }
DVEC_FUNCTION(sparsevec_l2_normalize) { return sparse_datum(unit_of(sparse_argument(fcinfo, 0))); }

}  // namespace dvec::postgres
