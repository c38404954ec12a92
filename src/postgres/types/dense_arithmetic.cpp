// Element-wise + - * of vectors. A result outside the range of the elements is an error, as it is
// for float4: a vector has finite elements only. Halves are computed with as floats and rounded
// once.
#include "postgres/types/dense.hpp"

namespace dvec::postgres {
namespace {

// A new vector of combine(a, b) for each pair of elements.
template <class Element, class Combine>
Dense<Element> *combine_elements(FunctionCallInfo fcinfo, Combine combine) {
    const Dense<Element> *left = dense_argument<Element>(fcinfo, 0);
    const Dense<Element> *right = dense_argument<Element>(fcinfo, 1);
    check_same_dimensions(left, right);

    Dense<Element> *result = new_dense<Element>(left->dimensions);
    for (int i = 0; i < left->dimensions; ++i)
        result->values[i] = combine(to_number(left->values[i]), to_number(right->values[i]));
    return result;
}

template <class Element>
Element finite_element(float number) {
    const Element element = to_element<Element>(number);
    if (std::isinf(to_number(element)))
        float_overflow_error();
    return element;
}

template <class Element>
Datum add(FunctionCallInfo fcinfo) {
    return dense_datum(combine_elements<Element>(
        fcinfo, [](float a, float b) { return finite_element<Element>(a + b); }));
}

template <class Element>
Datum subtract(FunctionCallInfo fcinfo) {
    return dense_datum(combine_elements<Element>(
        fcinfo, [](float a, float b) { return finite_element<Element>(a - b); }));
}

// In a product, a zero result of two factors other than zero is an underflow error.
template <class Element>
Datum multiply(FunctionCallInfo fcinfo) {
    return dense_datum(combine_elements<Element>(fcinfo, [](float a, float b) {
        const Element product = finite_element<Element>(a * b);
        if (to_number(product) == 0 && a != 0 && b != 0)
            float_underflow_error();
        return product;
    }));
}

}  // namespace

DVEC_FUNCTION(vector_add) { return add<float>(fcinfo); }
DVEC_FUNCTION(vector_sub) { return subtract<float>(fcinfo); }
DVEC_FUNCTION(vector_mul) { return multiply<float>(fcinfo); }

DVEC_FUNCTION(halfvec_add) { return add<Half>(fcinfo); }
DVEC_FUNCTION(halfvec_sub) { return subtract<Half>(fcinfo); }
DVEC_FUNCTION(halfvec_mul) { return multiply<Half>(fcinfo); }

}  // namespace dvec::postgres
