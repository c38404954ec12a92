// The SQL types `vector` and `halfvec`: one value for each dimension, in single or half precision.
// They differ only in their elements and their name, so they share one implementation, a template
// over Element, which is float or Half. This file has the layout and the rules that every value
// obeys.
//
// A value has 1 to 16,000 elements, each finite: neither NaN nor an infinity. The input functions
// and every function that computes a value enforce it, so readers may rely on it.
//
// Everything here may raise an ERROR, so callers hold only trivially destructible objects
// (guard.hpp). Values that functions create or return belong to the current memory context.
#pragma once

#include <type_traits>

#include "engine/distance/half.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

using distance::Half;

inline constexpr int max_dimensions = 16000;

// The stored form, the same bytes as pgvector's, so that tables and binary clients carry over.
// Exists only behind a pointer from new_dense or dense_from_datum.
template <class Element>
struct Dense {
    int32 varlena_header;  // read and written by VARSIZE and SET_VARSIZE alone
    int16 dimensions;
    int16 unused;  // zero
    Element values[FLEXIBLE_ARRAY_MEMBER];

    static constexpr const char *type_name = std::is_same_v<Element, Half> ? "halfvec" : "vector";

    static constexpr Size bytes(int dimensions) {
        return offsetof(Dense, values) + sizeof(Element) * static_cast<Size>(dimensions);
    }
};

using Vector = Dense<float>;
using HalfVector = Dense<Half>;
static_assert(std::is_trivial_v<Vector> && std::is_standard_layout_v<Vector>);
static_assert(std::is_trivial_v<HalfVector> && std::is_standard_layout_v<HalfVector>);
static_assert(offsetof(Vector, dimensions) == 4 && Vector::bytes(0) == 8);
static_assert(HalfVector::bytes(0) == 8);

// An element as a number, and the element nearest to a number: for halves infinite beyond their
// range, which the caller has to check.
inline float to_number(float element) { return element; }
inline float to_number(Half element) { return distance::widen(element); }

template <class Element>
Element to_element(float number) {
    if constexpr (std::is_same_v<Element, Half>)
        return distance::narrow(number);
    else
        return number;
}

// A value with its header set and its elements not. `dimensions` is from 1 to max_dimensions.
template <class Element>
Dense<Element> *new_dense(int dimensions);

// The value behind `datum`, uncompressed and in memory: the datum's own bytes where they are in
// that form already, else a copy. Callers do not write to it. A value whose length contradicts its
// dimensions raises XX001.
template <class Element>
Dense<Element> *dense_from_datum(Datum datum);

// The length of the vector; in double, where the square of no element overflows or vanishes.
template <class Element>
double norm(const Dense<Element> *vector);

// Writes the vector of length 1 and the same direction to `unit`, which has room for its elements.
// The zero vector has no direction; its result is all zeros without sign.
template <class Element>
void write_unit(const Dense<Element> *vector, Element *unit);

template <class Element>
Dense<Element> *dense_argument(FunctionCallInfo fcinfo, int number) {
    return dense_from_datum<Element>(PG_GETARG_DATUM(number));
}

template <class Element>
Datum dense_datum(const Dense<Element> *vector) {
    return PointerGetDatum(vector);
}

// The errors of the checks below, kept out of line so that the checks are small. `type` is the name
// of the SQL type; sparsevec has the same errors.
namespace failure {
[[noreturn]] void no_dimensions(const char *type);
[[noreturn]] void too_many_dimensions(const char *type, int most);
[[noreturn]] void unexpected_dimensions(int expected, int found);
[[noreturn]] void different_dimensions(const char *type, int left, int right);
[[noreturn]] void element_not_finite(const char *type, float element);
[[noreturn]] void out_of_range(const char *type, const char *number, Size length);
[[noreturn]] void malformed(const char *type, const char *input, const char *detail);
}  // namespace failure

// A number of dimensions a value can have.
template <class Element>
void check_dimensions(int dimensions) {
    if (dimensions < 1)
        failure::no_dimensions(Dense<Element>::type_name);
    if (dimensions > max_dimensions)
        failure::too_many_dimensions(Dense<Element>::type_name, max_dimensions);
}

// The dimensions a declaration such as vector(3) demands; `typmod` is -1 where it demands nothing.
inline void check_expected_dimensions(int32 typmod, int dimensions) {
    if (typmod != -1 && typmod != dimensions)
        failure::unexpected_dimensions(typmod, dimensions);
}

template <class Element>
void check_same_dimensions(const Dense<Element> *left, const Dense<Element> *right) {
    if (left->dimensions != right->dimensions)
        failure::different_dimensions(Dense<Element>::type_name, left->dimensions,
                                      right->dimensions);
}

template <class Element>
void check_element(Element element) {
    const float number = to_number(element);
    if (!std::isfinite(number))
        failure::element_not_finite(Dense<Element>::type_name, number);
}

// The element of a value that is converted, where to_element's infinity would be a surprise: it
// raises 22003 for a finite number beyond the range of elements.
template <class Element>
Element converted_element(float number);

}  // namespace dvec::postgres
