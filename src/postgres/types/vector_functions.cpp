// Functions of single vectors, and those that make one from parts: dimensions, norm, normalisation,
// concatenation, subvector, quantisation to bits.
#include "postgres/types/vector.hpp"

namespace dvec::postgres {
namespace {

void copy_values(float *to, const float *from, int count) {
    std::memcpy(to, from, sizeof(float) * static_cast<std::size_t>(count));
}

}  // namespace

DVEC_FUNCTION(vector_dims) { PG_RETURN_INT32(vector_argument(fcinfo, 0)->dimensions); }

DVEC_FUNCTION(vector_norm) { PG_RETURN_FLOAT8(norm(vector_argument(fcinfo, 0))); }

DVEC_FUNCTION(l2_normalize) {
    const Vector *vector = vector_argument(fcinfo, 0);
    Vector *unit = new_vector(vector->dimensions);
    write_unit(vector, unit->values);
    return vector_datum(unit);
}

DVEC_FUNCTION(vector_concat) {
    const Vector *left = vector_argument(fcinfo, 0);
    const Vector *right = vector_argument(fcinfo, 1);
    const int dimensions = left->dimensions + right->dimensions;
    check_dimensions(dimensions);

    Vector *joined = new_vector(dimensions);
    copy_values(joined->values, left->values, left->dimensions);
    copy_values(joined->values + left->dimensions, right->values, right->dimensions);
    return vector_datum(joined);
}

// Like substring: elements are counted from 1, and what lies outside the vector is left away.
DVEC_FUNCTION(subvector) {
    const Vector *vector = vector_argument(fcinfo, 0);
    const int64 start = PG_GETARG_INT32(1);
    const int64 count = PG_GETARG_INT32(2);
    if (count < 1)
        failure::no_dimensions();

    // In 64 bits the sum of two integers cannot overflow.
    const int64 first = Max(start, 1);
    const int64 last = Min(start + count - 1, vector->dimensions);
    if (first > last)
        failure::no_dimensions();

    const int dimensions = static_cast<int>(last - first + 1);
    Vector *part = new_vector(dimensions);
    copy_values(part->values, vector->values + (first - 1), dimensions);
    return vector_datum(part);
}

// One bit per element, set where it is positive, in SQL's order: the first is the highest bit of
// the first byte. The bits behind the last are zero, as the bit functions require.
DVEC_FUNCTION(binary_quantize) {
    const Vector *vector = vector_argument(fcinfo, 0);
    const int count = vector->dimensions;

    const int size = VARBITTOTALLEN(count);
    auto *bits = static_cast<VarBit *>(palloc0(static_cast<Size>(size)));
    SET_VARSIZE(bits, size);
    VARBITLEN(bits) = count;
    for (int i = 0; i < count; ++i)
        VARBITS(bits)[i / 8] |= static_cast<bits8>((vector->values[i] > 0) << (7 - i % 8));
    PG_RETURN_VARBIT_P(bits);
}

}  // namespace dvec::postgres
