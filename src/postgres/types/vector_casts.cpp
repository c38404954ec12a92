// Casts: numeric arrays to vector, vector to real[], and vector to vector(n).
//
// The server calls a cast function with the value, the target's typmod (-1 for none) and whether
// the cast was written out; the last makes no difference here.
#include "postgres/types/vector.hpp"

namespace dvec::postgres {
namespace {

// The elements of an array of a fixed-width type lie side by side when none of them is null.
template <class Element>
void copy_elements(ArrayType *array, Vector *vector) {
    const auto *elements = reinterpret_cast<const Element *>(ARR_DATA_PTR(array));
    for (int i = 0; i < vector->dimensions; ++i)
        vector->values[i] = static_cast<float>(elements[i]);
}

void copy_numerics(ArrayType *array, Vector *vector) {
    Datum *elements = nullptr;
    int count = 0;
    deconstruct_array(array, NUMERICOID, -1, false, TYPALIGN_INT, &elements, nullptr, &count);
    Assert(count == vector->dimensions);
    for (int i = 0; i < count; ++i)
        vector->values[i] = DatumGetFloat4(DirectFunctionCall1(numeric_float4, elements[i]));
    pfree(elements);
}

}  // namespace

// One C function behind the casts from integer[], real[], double precision[] and numeric[].
DVEC_FUNCTION(array_to_vector) {
    ArrayType *array = PG_GETARG_ARRAYTYPE_P(0);
    const int32 typmod = PG_GETARG_INT32(1);

    if (ARR_NDIM(array) > 1)
        ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("array must be 1-D")));
    if (ARR_HASNULL(array) && array_contains_nulls(array))
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("array must not contain nulls")));
    const int dimensions = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
    check_dimensions(dimensions);
    check_expected_dimensions(typmod, dimensions);

    Vector *vector = new_vector(dimensions);
    switch (ARR_ELEMTYPE(array)) {
        case INT4OID:
            copy_elements<int32>(array, vector);
            break;
        case FLOAT4OID:
            copy_elements<float4>(array, vector);
            break;
        case FLOAT8OID:
            copy_elements<float8>(array, vector);
            break;
        case NUMERICOID:
            copy_numerics(array, vector);
            break;
        default:
            ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("unsupported array type")));
    }
    for (int i = 0; i < dimensions; ++i)
        check_element(vector->values[i]);
    return vector_datum(vector);
}

DVEC_FUNCTION(vector_to_float4) {
    const Vector *vector = vector_argument(fcinfo, 0);
    const Size value_bytes = sizeof(float4) * static_cast<Size>(vector->dimensions);
    const Size size = ARR_OVERHEAD_NONULLS(1) + value_bytes;

    auto *array = static_cast<ArrayType *>(palloc0(size));
    SET_VARSIZE(array, size);
    array->ndim = 1;
    array->dataoffset = 0;  // no null bitmap
    array->elemtype = FLOAT4OID;
    ARR_DIMS(array)[0] = vector->dimensions;
    ARR_LBOUND(array)[0] = 1;
    std::memcpy(ARR_DATA_PTR(array), vector->values, value_bytes);
    PG_RETURN_ARRAYTYPE_P(array);
}

// vector to vector(n): refuses, never resizes.
DVEC_FUNCTION(vector) {
    const Vector *value = vector_argument(fcinfo, 0);
    check_expected_dimensions(PG_GETARG_INT32(1), value->dimensions);
    return vector_datum(value);
}

}  // namespace dvec::postgres
