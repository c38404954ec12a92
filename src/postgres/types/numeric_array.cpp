// Reads arrays of numbers.
#include "postgres/types/numeric_array.hpp"

namespace dvec::postgres {
namespace {

// The elements of an array of a fixed-width type lie side by side when none of them is null.
template <class Number>
void copy_elements(ArrayType *array, float *values, int count) {
    const auto *elements = reinterpret_cast<const Number *>(ARR_DATA_PTR(array));
    for (int i = 0; i < count; ++i)
        values[i] = static_cast<float>(elements[i]);
}

void copy_numerics(ArrayType *array, float *values, int expected_count, void (*check)(float)) {
    Datum *elements = nullptr;
    int count = 0;
    deconstruct_array(array, NUMERICOID, -1, false, TYPALIGN_INT, &elements, nullptr, &count);
    Assert(count == expected_count);
    for (int i = 0; i < count; ++i) {
        values[i] = DatumGetFloat4(DirectFunctionCall1(numeric_float4, elements[i]));
        check(values[i]);
    }
    pfree(elements);
}

}  // namespace

int element_count(ArrayType *array) {
    if (ARR_NDIM(array) > 1)
        ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("array must be 1-D")));
    if (ARR_HASNULL(array) && array_contains_nulls(array))
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("array must not contain nulls")));
    return ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
}

float *element_values(ArrayType *array, int count, void (*check)(float number)) {
    auto *values = static_cast<float *>(palloc(sizeof(float) * static_cast<Size>(count)));
    switch (ARR_ELEMTYPE(array)) {
        case INT4OID:
            copy_elements<int32>(array, values, count);
            break;
        case FLOAT4OID:
            copy_elements<float4>(array, values, count);
            break;
        case FLOAT8OID:
            copy_elements<float8>(array, values, count);
            break;
        case NUMERICOID:
            copy_numerics(array, values, count, check);
            break;
        default:
            ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("unsupported array type")));
    }
    return values;
}

}  // namespace dvec::postgres
