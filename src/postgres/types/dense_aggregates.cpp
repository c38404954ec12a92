// avg of vector and halfvec. Its state is a float8 array {n, s1, ..., sd}: how many vectors were
// added, and their sums. Before the first vector it is {0}. Being an ordinary array it travels
// between parallel workers as it is. sum needs nothing of its own: its transition is the +
// operator.
#include "postgres/types/dense.hpp"

namespace dvec::postgres {
namespace {

// A view of a state array, with the memory the array lives in.
struct AverageState {
    ArrayType *array;
    float8 *count;
    float8 *sums;
    int dimensions;  // 0 before the first vector
};

AverageState view(ArrayType *array) {
    auto *values = reinterpret_cast<float8 *>(ARR_DATA_PTR(array));
    return {array, values, values + 1, ARR_DIMS(array)[0] - 1};
}

// Users can call the support functions directly, with any array.
AverageState state_argument(FunctionCallInfo fcinfo, int number, const char *function) {
    ArrayType *array = PG_GETARG_ARRAYTYPE_P(number);
    if (ARR_NDIM(array) != 1 || ARR_DIMS(array)[0] < 1 || ARR_HASNULL(array) ||
        ARR_ELEMTYPE(array) != FLOAT8OID)
        elog(ERROR, "%s: expected state array", function);
    return view(array);
}

AverageState new_state(int dimensions) {
    const Size size =
        ARR_OVERHEAD_NONULLS(1) + sizeof(float8) * (static_cast<Size>(dimensions) + 1);
    auto *array = static_cast<ArrayType *>(palloc0(size));
    SET_VARSIZE(array, size);
    array->ndim = 1;
    array->dataoffset = 0;  // no null bitmap
    array->elemtype = FLOAT8OID;
    ARR_DIMS(array)[0] = dimensions + 1;
    ARR_LBOUND(array)[0] = 1;
    return view(array);
}

AverageState copy_of(const AverageState &state) {
    const AverageState copy = new_state(state.dimensions);
    *copy.count = *state.count;
    std::memcpy(copy.sums, state.sums, sizeof(float8) * static_cast<Size>(state.dimensions));
    return copy;
}

// The first argument, to be written to: an aggregate's own state is changed in place, which spares
// a copy per row; in a plain call the argument is the caller's.
AverageState writable(FunctionCallInfo fcinfo, const AverageState &first_argument) {
    const bool in_aggregate = AggCheckCallContext(fcinfo, nullptr) != 0;
    return in_aggregate ? first_argument : copy_of(first_argument);
}

float8 addend(float8 sum) { return sum; }
float8 addend(float element) { return element; }
float8 addend(Half element) { return to_number(element); }

// `addends` are elements or sums, as many as the state has dimensions.
template <class Number>
void add_to_sums(const AverageState &state, const Number *addends) {
    for (int i = 0; i < state.dimensions; ++i) {
        state.sums[i] += addend(addends[i]);
        if (std::isinf(state.sums[i]))
            float_overflow_error();
    }
}

template <class Element>
Datum accumulate(FunctionCallInfo fcinfo, const char *function) {
    const AverageState before = state_argument(fcinfo, 0, function);
    const Dense<Element> *vector = dense_argument<Element>(fcinfo, 1);

    AverageState after;
    if (before.dimensions == 0) {
        after = new_state(vector->dimensions);
        // Stored, not added to the zeros: 0 + -0 would lose the sign.
        for (int i = 0; i < vector->dimensions; ++i)
            after.sums[i] = addend(vector->values[i]);
    } else {
        check_expected_dimensions(before.dimensions, vector->dimensions);
        after = writable(fcinfo, before);
        add_to_sums(after, vector->values);
    }
    *after.count = *before.count + 1;
    PG_RETURN_ARRAYTYPE_P(after.array);
}

// The average of no vectors is NULL.
template <class Element>
Datum average(FunctionCallInfo fcinfo, const char *function) {
    const AverageState state = state_argument(fcinfo, 0, function);
    if (*state.count == 0)
        PG_RETURN_NULL();
    check_dimensions<Element>(state.dimensions);

    Dense<Element> *result = new_dense<Element>(state.dimensions);
    for (int i = 0; i < state.dimensions; ++i) {
        const auto quotient = static_cast<float>(state.sums[i] / *state.count);
        result->values[i] = converted_element<Element>(quotient);
        check_element(result->values[i]);
    }
    return dense_datum(result);
}

}  // namespace

DVEC_FUNCTION(vector_accum) { return accumulate<float>(fcinfo, "vector_accum"); }
DVEC_FUNCTION(vector_avg) { return average<float>(fcinfo, "vector_avg"); }
DVEC_FUNCTION(halfvec_accum) { return accumulate<Half>(fcinfo, "halfvec_accum"); }
DVEC_FUNCTION(halfvec_avg) { return average<Half>(fcinfo, "halfvec_avg"); }

// Of states of either type.
DVEC_FUNCTION(vector_combine) {
    const AverageState left = state_argument(fcinfo, 0, "vector_combine");
    const AverageState right = state_argument(fcinfo, 1, "vector_combine");
    const float8 count = *left.count + *right.count;

    const int dimensions = left.dimensions != 0 ? left.dimensions : right.dimensions;
    if (dimensions != 0)
        check_dimensions<float>(dimensions);

    AverageState both;
    if (left.dimensions == 0) {
        both = copy_of(right);
    } else if (right.dimensions == 0) {
        both = writable(fcinfo, left);
    } else {
        check_expected_dimensions(left.dimensions, right.dimensions);
        both = writable(fcinfo, left);
        add_to_sums(both, right.sums);
    }
    *both.count = count;
    PG_RETURN_ARRAYTYPE_P(both.array);
}

}  // namespace dvec::postgres
