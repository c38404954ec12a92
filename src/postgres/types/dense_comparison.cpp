// The order of vectors, for = < > and the btree operator class: element by element, a vector that
// is a prefix of another comes first, as with arrays. It exists for sorting, DISTINCT and unique
// keys; nearness is the business of the distance functions.
#include "postgres/types/dense.hpp"

namespace dvec::postgres {
namespace {

// Negative, zero or positive. Elements are never NaN, so the order is total; -0 equals 0.
template <class Element>
int compare(const Dense<Element> *left, const Dense<Element> *right) {
    const int shared = Min(left->dimensions, right->dimensions);
    for (int i = 0; i < shared; ++i) {
        const float a = to_number(left->values[i]);
        const float b = to_number(right->values[i]);
        if (a != b)
            return a < b ? -1 : 1;
    }
    return (left->dimensions > right->dimensions) - (left->dimensions < right->dimensions);
}

// A sort calls this n log n times in one memory context, where copies that detoasting made would
// pile up.
template <class Element>
int compare_arguments(FunctionCallInfo fcinfo) {
    Dense<Element> *left = dense_argument<Element>(fcinfo, 0);
    Dense<Element> *right = dense_argument<Element>(fcinfo, 1);
    const int order = compare(left, right);
    PG_FREE_IF_COPY(left, 0);
    PG_FREE_IF_COPY(right, 1);
    return order;
}

}  // namespace

DVEC_FUNCTION(vector_cmp) { PG_RETURN_INT32(compare_arguments<float>(fcinfo)); }
DVEC_FUNCTION(vector_lt) { PG_RETURN_BOOL(compare_arguments<float>(fcinfo) < 0); }
DVEC_FUNCTION(vector_le) { PG_RETURN_BOOL(compare_arguments<float>(fcinfo) <= 0); }
DVEC_FUNCTION(vector_eq) { PG_RETURN_BOOL(compare_arguments<float>(fcinfo) == 0); }
DVEC_FUNCTION(vector_ne) { PG_RETURN_BOOL(compare_arguments<float>(fcinfo) != 0); }
DVEC_FUNCTION(vector_ge) { PG_RETURN_BOOL(compare_arguments<float>(fcinfo) >= 0); }
DVEC_FUNCTION(vector_gt) { PG_RETURN_BOOL(compare_arguments<float>(fcinfo) > 0); }

DVEC_FUNCTION(halfvec_cmp) { PG_RETURN_INT32(compare_arguments<Half>(fcinfo)); }
DVEC_FUNCTION(halfvec_lt) { PG_RETURN_BOOL(compare_arguments<Half>(fcinfo) < 0); }
DVEC_FUNCTION(halfvec_le) { PG_RETURN_BOOL(compare_arguments<Half>(fcinfo) <= 0); }
DVEC_FUNCTION(halfvec_eq) { PG_RETURN_BOOL(compare_arguments<Half>(fcinfo) == 0); }
DVEC_FUNCTION(halfvec_ne) { PG_RETURN_BOOL(compare_arguments<Half>(fcinfo) != 0); }
DVEC_FUNCTION(halfvec_ge) { PG_RETURN_BOOL(compare_arguments<Half>(fcinfo) >= 0); }
DVEC_FUNCTION(halfvec_gt) { PG_RETURN_BOOL(compare_arguments<Half>(fcinfo) > 0); }

}  // namespace dvec::postgres
