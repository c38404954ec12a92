// The order of sparse vectors, for = < > and the btree operator class: that of the dense vectors
// they stand for, element by element, a prefix first.
#include <algorithm>

#include "postgres/types/sparse.hpp"

namespace dvec::postgres {
namespace {

// Where element number `i` stands; beyond all dimensions when there is none.
int32 index_of(const SparseVector *vector, int i) {
    return i < vector->count ? vector->indices[i] : PG_INT32_MAX;
}

// The element at `index`, given the first that could be it.
float value_at(const SparseVector *vector, int i, int32 index) {
    return index_of(vector, i) == index ? vector->values()[i] : 0;
}

// Negative, zero or positive.
int compare(const SparseVector *left, const SparseVector *right) {
    const int shared = std::min(left->count, right->count);
    int i = 0;
    while (i < shared && left->indices[i] == right->indices[i] &&
           left->values()[i] == right->values()[i])
        ++i;
    // From here on the first element of either decides, if both vectors are that long.
    const int32 index = std::min(index_of(left, i), index_of(right, i));
    if (index < std::min(left->dimensions, right->dimensions))
        return value_at(left, i, index) < value_at(right, i, index) ? -1 : 1;
    return (left->dimensions > right->dimensions) - (left->dimensions < right->dimensions);
}

// A sort calls this n log n times in one memory context, where copies that detoasting made would
// pile up.
int compare_arguments(FunctionCallInfo fcinfo) {
    SparseVector *left = sparse_argument(fcinfo, 0);
    SparseVector *right = sparse_argument(fcinfo, 1);
    const int order = compare(left, right);
    PG_FREE_IF_COPY(left, 0);
    PG_FREE_IF_COPY(right, 1);
    return order;
}

}  // namespace

DVEC_FUNCTION(sparsevec_cmp) { PG_RETURN_INT32(compare_arguments(fcinfo)); }
DVEC_FUNCTION(sparsevec_lt) { PG_RETURN_BOOL(compare_arguments(fcinfo) < 0); }
DVEC_FUNCTION(sparsevec_le) { PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0); }
DVEC_FUNCTION(sparsevec_eq) { PG_RETURN_BOOL(compare_arguments(fcinfo) == 0); }
DVEC_FUNCTION(sparsevec_ne) { PG_RETURN_BOOL(compare_arguments(fcinfo) != 0); }
DVEC_FUNCTION(sparsevec_ge) { PG_RETURN_BOOL(compare_arguments(fcinfo) >= 0); }
DVEC_FUNCTION(sparsevec_gt) { PG_RETURN_BOOL(compare_arguments(fcinfo) > 0); }

}  // namespace dvec::postgres
