// Casts of sparsevec: from and to the dense types, from arrays of numbers, and to declared
// dimensions.
#include "postgres/types/numeric_array.hpp"
#include "postgres/types/sparse.hpp"

namespace dvec::postgres {
namespace {

// Keeps what is not zero of `dimensions` numbers.
template <class Element>
SparseVector *without_zeros(const Element *elements, int dimensions) {
    int count = 0;
    for (int i = 0; i < dimensions; ++i)
        count += to_number(elements[i]) != 0;
    check_sparse_count(count, dimensions);

    SparseVector *vector = new_sparse(dimensions, count);
    for (int i = 0, at = 0; i < dimensions; ++i) {
        const float number = to_number(elements[i]);
        if (number != 0) {
            vector->indices[at] = i;
            vector->values()[at++] = number;
        }
    }
    return vector;
}

template <class Element>
Datum from_dense(FunctionCallInfo fcinfo) {
    const Dense<Element> *dense = dense_argument<Element>(fcinfo, 0);
    check_expected_dimensions(PG_GETARG_INT32(1), dense->dimensions);
    return sparse_datum(without_zeros(dense->values, dense->dimensions));
}

template <class Element>
Datum to_dense(FunctionCallInfo fcinfo) {
    const SparseVector *sparse = sparse_argument(fcinfo, 0);
    check_dimensions<Element>(sparse->dimensions);
    check_expected_dimensions(PG_GETARG_INT32(1), sparse->dimensions);

    Dense<Element> *dense = new_dense<Element>(sparse->dimensions);
    std::memset(static_cast<void *>(dense->values), 0,
                sizeof(Element) * static_cast<std::size_t>(sparse->dimensions));
    for (int i = 0; i < sparse->count; ++i) {
        const int32 index = sparse->indices[i];
        // Keeps a damaged value from causing a write beyond the end.
        if (index < 0 || index >= sparse->dimensions)
            ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid sparsevec value"),
                            errdetail("An index is beyond the dimensions.")));
        dense->values[index] = converted_element<Element>(sparse->values()[i]);
    }
    return dense_datum(dense);
}

}  // namespace

DVEC_FUNCTION(vector_to_sparsevec) { return from_dense<float>(fcinfo); }
DVEC_FUNCTION(halfvec_to_sparsevec) { return from_dense<Half>(fcinfo); }
DVEC_FUNCTION(sparsevec_to_vector) { return to_dense<float>(fcinfo); }
DVEC_FUNCTION(sparsevec_to_halfvec) { return to_dense<Half>(fcinfo); }

DVEC_FUNCTION(array_to_sparsevec) {
    ArrayType *array = PG_GETARG_ARRAYTYPE_P(0);
    const int dimensions = element_count(array);
    check_sparse_dimensions(dimensions);
    check_expected_dimensions(PG_GETARG_INT32(1), dimensions);

    float *numbers = element_values(array, dimensions, [](float) {});
    SparseVector *vector = without_zeros(numbers, dimensions);
    for (int i = 0; i < vector->count; ++i)
        check_sparse_element(vector->values()[i]);
    pfree(numbers);
    return sparse_datum(vector);
}

// Cast to a declared number of dimensions: raises an error when they differ, never resizes.
DVEC_FUNCTION(sparsevec) {
    const SparseVector *value = sparse_argument(fcinfo, 0);
    check_expected_dimensions(PG_GETARG_INT32(1), value->dimensions);
    return sparse_datum(value);
}

}  // namespace dvec::postgres
