// The SQL type `sparsevec`: a vector of up to a thousand million dimensions of which only the
// elements other than zero are kept, at most 16,000. Its layout and the rules every value obeys.
//
// Indices ascend, begin at 0 (in text at 1) and are below the dimensions; elements are finite and
// not zero. The input functions and every function that computes a value enforce it.
//
// Everything here may raise an ERROR, so callers hold only trivially destructible objects
// (guard.hpp). Values that functions create or return belong to the current memory context.
#pragma once

#include <type_traits>

#include "engine/distance/sparse.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/postgres.hpp"
#include "postgres/types/dense.hpp"

namespace dvec::postgres {

inline constexpr int max_sparse_dimensions = 1000000000;
inline constexpr int max_sparse_elements = 16000;

// The stored form, the same bytes as pgvector's. From `count` on it is what the engine measures.
// Exists only behind a pointer from new_sparse or sparse_from_datum.
struct SparseVector {
    int32 varlena_header;  // read and written by VARSIZE and SET_VARSIZE alone
    int32 dimensions;
    int32 count;                           // of elements
    int32 unused;                          // zero
    int32 indices[FLEXIBLE_ARRAY_MEMBER];  // `count` of them, then as many values

    static constexpr const char *type_name = "sparsevec";

    static constexpr Size bytes(int count) {
        return offsetof(SparseVector, count) +
               distance::sparse_bytes(static_cast<std::size_t>(count));
    }
    float *values() { return reinterpret_cast<float *>(indices + count); }
    const float *values() const { return reinterpret_cast<const float *>(indices + count); }
    distance::SparseView view() const {
        return {indices, values(), static_cast<std::size_t>(count)};
    }
};
static_assert(std::is_trivial_v<SparseVector> && std::is_standard_layout_v<SparseVector>);
static_assert(offsetof(SparseVector, count) == 8 && SparseVector::bytes(0) == 16);

// A value with its header set and its elements not.
SparseVector *new_sparse(int dimensions, int count);

// Like dense_from_datum. A value whose length contradicts its number of elements raises XX001.
SparseVector *sparse_from_datum(Datum datum);

inline SparseVector *sparse_argument(FunctionCallInfo fcinfo, int number) {
    return sparse_from_datum(PG_GETARG_DATUM(number));
}

inline Datum sparse_datum(const SparseVector *vector) { return PointerGetDatum(vector); }

// The length of the vector, in double.
double norm(const SparseVector *vector);

// The vector of length 1 and the same direction. Elements that become zero are left out. For the
// zero vector it is the zero vector.
SparseVector *unit_of(const SparseVector *vector);

// Dimensions, and number of elements, that a value can have.
void check_sparse_dimensions(int dimensions);
void check_sparse_count(int count, int dimensions);
// The index at a position, the indices before which are checked already.
void check_sparse_index(const int32 *indices, int position, int dimensions);
void check_sparse_element(float element);

}  // namespace dvec::postgres
