// The order of vectors, for = < > and the btree operator class: element by element, a vector that
// is a prefix of another comes first, as with arrays. It exists for sorting, DISTINCT and unique
// keys; nearness is the business of the distance functions.
#include "postgres/types/vector.hpp"

namespace dvec::postgres {
namespace {

// Negative, zero or positive. Elements are never NaN, so the order is total; -0 equals 0.
int compare(const Vector *left, const Vector *right) {
    const int shared = Min(left->dimensions, right->dimensions);
    for (int i = 0; i < shared; ++i)
        if (left->values[i] != right->values[i])
            return left->values[i] < right->values[i] ? -1 : 1;
    return (left->dimensions > right->dimensions) - (left->dimensions < right->dimensions);
}

// A sort calls this n log n times in one memory context, where copies that detoasting made would
// pile up.
int compare_arguments(FunctionCallInfo fcinfo) {
    Vector *left = vector_argument(fcinfo, 0);
    Vector *right = vector_argument(fcinfo, 1);
    const int order = compare(left, right);
    PG_FREE_IF_COPY(left, 0);
    PG_FREE_IF_COPY(right, 1);
    return order;
}

}  // namespace

DVEC_FUNCTION(vector_cmp) { PG_RETURN_INT32(compare_arguments(fcinfo)); }

DVEC_FUNCTION(vector_lt) { PG_RETURN_BOOL(compare_arguments(fcinfo) < 0); }

DVEC_FUNCTION(vector_le) { PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0); }

DVEC_FUNCTION(vector_eq) { PG_RETURN_BOOL(compare_arguments(fcinfo) == 0); }

DVEC_FUNCTION(vector_ne) { PG_RETURN_BOOL(compare_arguments(fcinfo) != 0); }

DVEC_FUNCTION(vector_ge) { PG_RETURN_BOOL(compare_arguments(fcinfo) >= 0); }

DVEC_FUNCTION(vector_gt) { PG_RETURN_BOOL(compare_arguments(fcinfo) > 0); }

}  // namespace dvec::postgres
