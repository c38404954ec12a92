// Functions of single vectors, and those that make one from parts: dimensions, norm, normalisation,
// concatenation, subvector, quantisation to bits.
#include "postgres/types/dense.hpp"

namespace dvec::postgres {
namespace {

template <class Element>
void copy_values(Element *to, const Element *from, int count) {
    std::memcpy(to, from, sizeof(Element) * static_cast<std::size_t>(count));
}

template <class Element>
Datum normalize(FunctionCallInfo fcinfo) {
    const Dense<Element> *vector = dense_argument<Element>(fcinfo, 0);
    Dense<Element> *unit = new_dense<Element>(vector->dimensions);
    write_unit(vector, unit->values);
    return dense_datum(unit);
}

template <class Element>
Datum concatenate(FunctionCallInfo fcinfo) {
    const Dense<Element> *left = dense_argument<Element>(fcinfo, 0);
    const Dense<Element> *right = dense_argument<Element>(fcinfo, 1);
    const int dimensions = left->dimensions + right->dimensions;
    check_dimensions<Element>(dimensions);

    Dense<Element> *joined = new_dense<Element>(dimensions);
    copy_values(joined->values, left->values, left->dimensions);
    copy_values(joined->values + left->dimensions, right->values, right->dimensions);
    return dense_datum(joined);
}

// Like substring: elements are numbered from 1, and the part of the range outside the vector is
// ignored.
template <class Element>
Datum part(FunctionCallInfo fcinfo) {
    const Dense<Element> *vector = dense_argument<Element>(fcinfo, 0);
    const int64 start = PG_GETARG_INT32(1);
    const int64 count = PG_GETARG_INT32(2);
    if (count < 1)
        failure::no_dimensions(Dense<Element>::type_name);

    // In 64 bits the sum of two integers cannot overflow.
    const int64 first = Max(start, 1);
    const int64 last = Min(start + count - 1, vector->dimensions);
    if (first > last)
        failure::no_dimensions(Dense<Element>::type_name);

    const int dimensions = static_cast<int>(last - first + 1);
    Dense<Element> *result = new_dense<Element>(dimensions);
    copy_values(result->values, vector->values + (first - 1), dimensions);
    return dense_datum(result);
}

// One bit per element, set where it is positive, in SQL's order: the first is the highest bit of
// the first byte. The bits behind the last are zero, as the bit functions require.
template <class Element>
Datum quantize(FunctionCallInfo fcinfo) {
    const Dense<Element> *vector = dense_argument<Element>(fcinfo, 0);
    const int count = vector->dimensions;

    const int size = VARBITTOTALLEN(count);
    auto *bits = static_cast<VarBit *>(palloc0(static_cast<Size>(size)));
    SET_VARSIZE(bits, size);
    VARBITLEN(bits) = count;
    for (int i = 0; i < count; ++i) {
        const bool positive = to_number(vector->values[i]) > 0;
        VARBITS(bits)[i / 8] |= static_cast<bits8>(positive << (7 - i % 8));
    }
    PG_RETURN_VARBIT_P(bits);
}

}  // namespace

DVEC_FUNCTION(vector_dims) { PG_RETURN_INT32(dense_argument<float>(fcinfo, 0)->dimensions); }
DVEC_FUNCTION(vector_norm) { PG_RETURN_FLOAT8(norm(dense_argument<float>(fcinfo, 0))); }
DVEC_FUNCTION(l2_normalize) { return normalize<float>(fcinfo); }
DVEC_FUNCTION(vector_concat) { return concatenate<float>(fcinfo); }
DVEC_FUNCTION(subvector) { return part<float>(fcinfo); }
DVEC_FUNCTION(binary_quantize) { return quantize<float>(fcinfo); }

DVEC_FUNCTION(halfvec_vector_dims) { PG_RETURN_INT32(dense_argument<Half>(fcinfo, 0)->dimensions); }
DVEC_FUNCTION(halfvec_l2_norm) { PG_RETURN_FLOAT8(norm(dense_argument<Half>(fcinfo, 0))); }
DVEC_FUNCTION(halfvec_l2_normalize) { return normalize<Half>(fcinfo); }
DVEC_FUNCTION(halfvec_concat) { return concatenate<Half>(fcinfo); }
DVEC_FUNCTION(halfvec_subvector) { return part<Half>(fcinfo); }
DVEC_FUNCTION(halfvec_binary_quantize) { return quantize<Half>(fcinfo); }

}  // namespace dvec::postgres
