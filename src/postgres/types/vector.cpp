// Creating and reading vector values, and the errors all functions of the type have in common.
// Their texts and SQLSTATEs are pgvector's: client libraries match on them.
#include "postgres/types/vector.hpp"

#include "engine/distance/float32.hpp"

namespace dvec::postgres {

Vector *new_vector(int dimensions) {
    const Size size = Vector::bytes(dimensions);
    auto *vector = static_cast<Vector *>(palloc(size));
    SET_VARSIZE(vector, size);
    vector->dimensions = static_cast<int16>(dimensions);
    vector->unused = 0;
    return vector;
}

// The length is what stands between a damaged or foreign value and reads beyond its end.
Vector *vector_from_datum(Datum datum) {
    auto *vector = reinterpret_cast<Vector *>(PG_DETOAST_DATUM(datum));
    const Size size = VARSIZE(vector);
    if (size < Vector::bytes(1) || vector->dimensions < 1 ||
        size != Vector::bytes(vector->dimensions))
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid vector value"),
                        errdetail("The length of the value contradicts its dimensions.")));
    return vector;
}

double norm(const Vector *vector) {
    return std::sqrt(
        distance::squared_norm(vector->values, static_cast<std::size_t>(vector->dimensions)));
}

void write_unit(const Vector *vector, float *unit) {
    const double length = norm(vector);
    for (int i = 0; i < vector->dimensions; ++i) {
        unit[i] = length > 0 ? static_cast<float>(vector->values[i] / length) : 0;
        if (std::isinf(unit[i]))
            float_overflow_error();
    }
}

namespace failure {

void no_dimensions() {
    ereport(ERROR,
            (errcode(ERRCODE_DATA_EXCEPTION), errmsg("vector must have at least 1 dimension")));
    pg_unreachable();
}

void too_many_dimensions() {
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                    errmsg("vector cannot have more than %d dimensions", max_dimensions)));
    pg_unreachable();
}

void unexpected_dimensions(int expected, int found) {
    ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
                    errmsg("expected %d dimensions, not %d", expected, found)));
    pg_unreachable();
}

void different_dimensions(int left, int right) {
    ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
                    errmsg("different vector dimensions %d and %d", left, right)));
    pg_unreachable();
}

void element_not_finite(float element) {
    const char *kind = std::isnan(element) ? "NaN" : "infinite value";
    ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("%s not allowed in vector", kind)));
    pg_unreachable();
}

}  // namespace failure
}  // namespace dvec::postgres
