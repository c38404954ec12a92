// Creating and reading dense values, and the errors all vector types have in common. Their texts
// and SQLSTATEs are pgvector's: client libraries match on them.
#include "postgres/types/dense.hpp"

#include "engine/distance/float16.hpp"
#include "engine/distance/float32.hpp"

namespace dvec::postgres {

template <class Element>
Dense<Element> *new_dense(int dimensions) {
    const Size size = Dense<Element>::bytes(dimensions);
    auto *vector = static_cast<Dense<Element> *>(palloc(size));
    SET_VARSIZE(vector, size);
    vector->dimensions = static_cast<int16>(dimensions);
    vector->unused = 0;
    return vector;
}

// Checking the length keeps damaged or foreign values from being read beyond their end.
template <class Element>
Dense<Element> *dense_from_datum(Datum datum) {
    auto *vector = reinterpret_cast<Dense<Element> *>(PG_DETOAST_DATUM(datum));
    const Size size = VARSIZE(vector);
    if (size < Dense<Element>::bytes(1) || vector->dimensions < 1 ||
        size != Dense<Element>::bytes(vector->dimensions))
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                        errmsg("invalid %s value", Dense<Element>::type_name),
                        errdetail("The length of the value contradicts its dimensions.")));
    return vector;
}

template <class Element>
double norm(const Dense<Element> *vector) {
    return std::sqrt(
        distance::squared_norm(vector->values, static_cast<std::size_t>(vector->dimensions)));
}

template <class Element>
void write_unit(const Dense<Element> *vector, Element *unit) {
    const double length = norm(vector);
    for (int i = 0; i < vector->dimensions; ++i) {
        const double quotient = length > 0 ? to_number(vector->values[i]) / length : 0;
        unit[i] = to_element<Element>(static_cast<float>(quotient));
        if (std::isinf(to_number(unit[i])))
            float_overflow_error();
    }
}

template <class Element>
Element converted_element(float number) {
    const Element element = to_element<Element>(number);
    if (std::isinf(to_number(element)) && !std::isinf(number)) {
        char text[FLOAT_SHORTEST_DECIMAL_LEN];
        const int length = float_to_shortest_decimal_bufn(number, text);
        failure::out_of_range(Dense<Element>::type_name, text, static_cast<Size>(length));
    }
    return element;
}

template Vector *new_dense(int);
template HalfVector *new_dense(int);
template Vector *dense_from_datum(Datum);
template HalfVector *dense_from_datum(Datum);
template double norm(const Vector *);
template double norm(const HalfVector *);
template void write_unit(const Vector *, float *);
template void write_unit(const HalfVector *, Half *);
template float converted_element(float);
template Half converted_element(float);

namespace failure {

void no_dimensions(const char *type) {
    ereport(ERROR,
            (errcode(ERRCODE_DATA_EXCEPTION), errmsg("%s must have at least 1 dimension", type)));
    pg_unreachable();
}

void too_many_dimensions(const char *type, int most) {
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                    errmsg("%s cannot have more than %d dimensions", type, most)));
    pg_unreachable();
}

void unexpected_dimensions(int expected, int found) {
    ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
                    errmsg("expected %d dimensions, not %d", expected, found)));
    pg_unreachable();
}

void different_dimensions(const char *type, int left, int right) {
    ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
                    errmsg("different %s dimensions %d and %d", type, left, right)));
    pg_unreachable();
}

void element_not_finite(const char *type, float element) {
    const char *kind = std::isnan(element) ? "NaN" : "infinite value";
    ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("%s not allowed in %s", kind, type)));
    pg_unreachable();
}

void out_of_range(const char *type, const char *number, Size length) {
    ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                    errmsg("\"%s\" is out of range for type %s", pnstrdup(number, length), type)));
    pg_unreachable();
}

void malformed(const char *type, const char *input, const char *detail) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                    errmsg("invalid input syntax for type %s: \"%s\"", type, input),
                    detail != nullptr ? errdetail("%s", detail) : 0));
    pg_unreachable();
}

}  // namespace failure
}  // namespace dvec::postgres
