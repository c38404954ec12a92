// The SQL type `vector`: its layout and the rules every value obeys. Used by the functions of the
// type and by whatever reads vectors from tuples.
//
// A value has 1 to 16,000 elements, each finite: neither NaN nor an infinity. The input functions
// and every function that computes a vector enforce it, so readers may rely on it.
//
// Everything here may raise an ERROR, so callers hold only trivially destructible objects
// (guard.hpp). Vectors that functions create or return belong to the current memory context.
#pragma once

#include <type_traits>

#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

inline constexpr int max_dimensions = 16000;

// The stored form, the same bytes as pgvector's, so that tables and binary clients carry over.
// Exists only behind a pointer from new_vector or vector_from_datum.
struct Vector {
    int32 varlena_header;  // read and written by VARSIZE and SET_VARSIZE alone
    int16 dimensions;
    int16 unused;  // zero
    float values[FLEXIBLE_ARRAY_MEMBER];

    static constexpr Size bytes(int dimensions) {
        return offsetof(Vector, values) + sizeof(float) * static_cast<Size>(dimensions);
    }
};
static_assert(std::is_trivial_v<Vector> && std::is_standard_layout_v<Vector>);
static_assert(offsetof(Vector, dimensions) == 4 && Vector::bytes(0) == 8);

// A vector with its header set and its values not. `dimensions` is from 1 to max_dimensions.
Vector *new_vector(int dimensions);

// The value behind `datum`, uncompressed and in memory: the datum's own bytes where they are in
// that form already, else a copy. Callers do not write to it. A value whose length contradicts its
// dimensions raises XX001.
Vector *vector_from_datum(Datum datum);

// The length of the vector; in double, where the square of no float overflows or vanishes.
double norm(const Vector *vector);

// Writes the vector of length 1 and the same direction to `unit`, which has room for its elements.
// The zero vector has no direction; its result is all zeros without sign.
void write_unit(const Vector *vector, float *unit);

inline Vector *vector_argument(FunctionCallInfo fcinfo, int number) {
    return vector_from_datum(PG_GETARG_DATUM(number));
}

inline Datum vector_datum(const Vector *vector) { return PointerGetDatum(vector); }

// The errors of the checks below, out of line to keep the checks small.
namespace failure {
[[noreturn]] void no_dimensions();
[[noreturn]] void too_many_dimensions();
[[noreturn]] void unexpected_dimensions(int expected, int found);
[[noreturn]] void different_dimensions(int left, int right);
[[noreturn]] void element_not_finite(float element);
}  // namespace failure

// A number of dimensions a vector can have.
inline void check_dimensions(int dimensions) {
    if (dimensions < 1)
        failure::no_dimensions();
    if (dimensions > max_dimensions)
        failure::too_many_dimensions();
}

// The dimensions a declaration such as vector(3) demands; `typmod` is -1 where it demands nothing.
inline void check_expected_dimensions(int32 typmod, int dimensions) {
    if (typmod != -1 && typmod != dimensions)
        failure::unexpected_dimensions(typmod, dimensions);
}

inline void check_same_dimensions(const Vector *left, const Vector *right) {
    if (left->dimensions != right->dimensions)
        failure::different_dimensions(left->dimensions, right->dimensions);
}

inline void check_element(float element) {
    if (!std::isfinite(element))
        failure::element_not_finite(element);
}

}  // namespace dvec::postgres
