// Casts of vector and halfvec: from arrays of numbers, to real[], to each other, and to their own
// type with declared dimensions.
//
// The server calls a cast function with the value, the target's typmod (-1 for none) and whether
// the cast was written out; the last makes no difference here.
#include "postgres/types/dense.hpp"
#include "postgres/types/numeric_array.hpp"

namespace dvec::postgres {
namespace {

template <class Element>
Datum from_array(FunctionCallInfo fcinfo) {
    ArrayType *array = PG_GETARG_ARRAYTYPE_P(0);
    const int dimensions = element_count(array);
    check_dimensions<Element>(dimensions);
    check_expected_dimensions(PG_GETARG_INT32(1), dimensions);

    float *numbers = element_values(array, dimensions,
                                    [](float number) { (void)converted_element<Element>(number); });
    Dense<Element> *vector = new_dense<Element>(dimensions);
    // All elements are converted before any is checked, so that with two errors in an array the one
    // reported is the same as in pgvector.
    for (int i = 0; i < dimensions; ++i)
        vector->values[i] = converted_element<Element>(numbers[i]);
    for (int i = 0; i < dimensions; ++i)
        check_element(vector->values[i]);
    pfree(numbers);
    return dense_datum(vector);
}

template <class Element>
Datum to_array(FunctionCallInfo fcinfo) {
    const Dense<Element> *vector = dense_argument<Element>(fcinfo, 0);
    const Size size =
        ARR_OVERHEAD_NONULLS(1) + sizeof(float4) * static_cast<Size>(vector->dimensions);

    auto *array = static_cast<ArrayType *>(palloc0(size));
    SET_VARSIZE(array, size);
    array->ndim = 1;
    array->dataoffset = 0;  // no null bitmap
    array->elemtype = FLOAT4OID;
    ARR_DIMS(array)[0] = vector->dimensions;
    ARR_LBOUND(array)[0] = 1;
    auto *numbers = reinterpret_cast<float4 *>(ARR_DATA_PTR(array));
    for (int i = 0; i < vector->dimensions; ++i)
        numbers[i] = to_number(vector->values[i]);
    PG_RETURN_ARRAYTYPE_P(array);
}

template <class From, class To>
Datum convert(FunctionCallInfo fcinfo) {
    const Dense<From> *from = dense_argument<From>(fcinfo, 0);
    check_expected_dimensions(PG_GETARG_INT32(1), from->dimensions);
    Dense<To> *to = new_dense<To>(from->dimensions);
    for (int i = 0; i < from->dimensions; ++i)
        to->values[i] = converted_element<To>(to_number(from->values[i]));
    return dense_datum(to);
}

// Cast to a declared number of dimensions: raises an error when they differ, never resizes.
template <class Element>
Datum declare(FunctionCallInfo fcinfo) {
    const Dense<Element> *value = dense_argument<Element>(fcinfo, 0);
    check_expected_dimensions(PG_GETARG_INT32(1), value->dimensions);
    return dense_datum(value);
}

}  // namespace

DVEC_FUNCTION(array_to_vector) { return from_array<float>(fcinfo); }
DVEC_FUNCTION(vector_to_float4) { return to_array<float>(fcinfo); }
DVEC_FUNCTION(vector_to_halfvec) { return convert<float, Half>(fcinfo); }
DVEC_FUNCTION(vector) { return declare<float>(fcinfo); }

DVEC_FUNCTION(array_to_halfvec) { return from_array<Half>(fcinfo); }
DVEC_FUNCTION(halfvec_to_float4) { return to_array<Half>(fcinfo); }
DVEC_FUNCTION(halfvec_to_vector) { return convert<Half, float>(fcinfo); }
DVEC_FUNCTION(halfvec) { return declare<Half>(fcinfo); }

}  // namespace dvec::postgres
