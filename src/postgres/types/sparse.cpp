// Creating, reading and checking sparse values. Texts and SQLSTATEs of errors are pgvector's.
#include "postgres/types/sparse.hpp"

#include "engine/distance/float32.hpp"

namespace dvec::postgres {

SparseVector *new_sparse(int dimensions, int count) {
    const Size size = SparseVector::bytes(count);
    auto *vector = static_cast<SparseVector *>(palloc(size));
    SET_VARSIZE(vector, size);
    vector->dimensions = dimensions;
    vector->count = count;
    vector->unused = 0;
    return vector;
}

SparseVector *sparse_from_datum(Datum datum) {
    auto *vector = reinterpret_cast<SparseVector *>(PG_DETOAST_DATUM(datum));
    const Size size = VARSIZE(vector);
    if (size < SparseVector::bytes(0) || vector->count < 0 || vector->count > max_sparse_elements ||
        size != SparseVector::bytes(vector->count))
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid sparsevec value"),
                        errdetail("The length of the value contradicts its number of elements.")));
    return vector;
}

double norm(const SparseVector *vector) {
    return std::sqrt(
        distance::squared_norm(vector->values(), static_cast<std::size_t>(vector->count)));
}

SparseVector *unit_of(const SparseVector *vector) {
    const double length = norm(vector);
    auto *quotients =
        static_cast<float *>(palloc(sizeof(float) * static_cast<Size>(vector->count)));
    int count = 0;
    for (int i = 0; i < vector->count; ++i) {
        quotients[i] = length > 0 ? static_cast<float>(vector->values()[i] / length) : 0;
        if (std::isinf(quotients[i]))
            float_overflow_error();
        count += quotients[i] != 0;
    }
    SparseVector *unit = new_sparse(vector->dimensions, count);
    for (int i = 0, at = 0; i < vector->count; ++i) {
        if (quotients[i] != 0) {
            unit->indices[at] = vector->indices[i];
            unit->values()[at++] = quotients[i];
        }
    }
    pfree(quotients);
    return unit;
}

void check_sparse_dimensions(int dimensions) {
    if (dimensions < 1)
        failure::no_dimensions(SparseVector::type_name);
    if (dimensions > max_sparse_dimensions)
        failure::too_many_dimensions(SparseVector::type_name, max_sparse_dimensions);
}

void check_sparse_count(int count, int dimensions) {
    if (count < 0)
        ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
                        errmsg("sparsevec cannot have negative number of elements")));
    if (count > max_sparse_elements)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                        errmsg("sparsevec cannot have more than %d non-zero elements",
                               max_sparse_elements)));
    if (count > dimensions)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                        errmsg("sparsevec cannot have more elements than dimensions")));
}

void check_sparse_index(const int32 *indices, int position, int dimensions) {
    const int32 index = indices[position];
    if (index < 0 || index >= dimensions)
        ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("sparsevec index out of bounds")));
    if (position == 0)
        return;
    if (index < indices[position - 1])
        ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
                        errmsg("sparsevec indices must be in ascending order")));
    if (index == indices[position - 1])
        ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
                        errmsg("sparsevec indices must not contain duplicates")));
}

void check_sparse_element(float element) {
    if (!std::isfinite(element))
        failure::element_not_finite(SparseVector::type_name, element);
}

}  // namespace dvec::postgres
