// Element-wise + - * of vectors. A result outside float4's range is an error, as it is for float4:
// a vector has finite elements only.
#include "postgres/types/vector.hpp"

namespace dvec::postgres {
namespace {

// A new vector of combine(a, b) for each pair of elements.
template <class Combine>
Vector *combine_elements(FunctionCallInfo fcinfo, Combine combine) {
    const Vector *left = vector_argument(fcinfo, 0);
    const Vector *right = vector_argument(fcinfo, 1);
    check_same_dimensions(left, right);

    Vector *result = new_vector(left->dimensions);
    for (int i = 0; i < left->dimensions; ++i)
        result->values[i] = combine(left->values[i], right->values[i]);
    return result;
}

void check_overflow(const Vector *result) {
    for (int i = 0; i < result->dimensions; ++i)
        if (std::isinf(result->values[i]))
            float_overflow_error();
}

}  // namespace

DVEC_FUNCTION(vector_add) {
    Vector *sum = combine_elements(fcinfo, [](float a, float b) { return a + b; });
    check_overflow(sum);
    return vector_datum(sum);
}

DVEC_FUNCTION(vector_sub) {
    Vector *difference = combine_elements(fcinfo, [](float a, float b) { return a - b; });
    check_overflow(difference);
    return vector_datum(difference);
}

// Here a zero that neither factor brought in is an error too.
DVEC_FUNCTION(vector_mul) {
    Vector *product = combine_elements(fcinfo, [](float a, float b) {
        const float value = a * b;
        if (std::isinf(value))
            float_overflow_error();
        if (value == 0 && a != 0 && b != 0)
            float_underflow_error();
        return value;
    });
    return vector_datum(product);
}

}  // namespace dvec::postgres
