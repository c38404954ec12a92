// How vector and halfvec values enter and leave SQL: the text form `[1,2.5,-3]`, the binary form,
// and the declared number of dimensions in vector(n).
//
// Binary form, big-endian: int16 dimensions, int16 zero, then each element in two or four bytes.
#include "postgres/types/dense.hpp"
#include "postgres/types/text_reader.hpp"
#include "postgres/types/typmod.hpp"

namespace dvec::postgres {
namespace {

// Unlike float4, and like pgvector, a number too small to represent is taken for zero.
template <class Element>
Element read_element(TextReader *reader) {
    const TextReader::Number number = reader->number();
    const Element element = to_element<Element>(number.value);
    const bool infinite = std::isinf(number.value);
    if ((number.out_of_range && infinite) || (std::isinf(to_number(element)) && !infinite))
        failure::out_of_range(Dense<Element>::type_name, number.text, number.length);
    check_element(element);
    return element;
}

template <class Element>
Datum read_text(FunctionCallInfo fcinfo) {
    const char *type = Dense<Element>::type_name;
    TextReader reader(type, PG_GETARG_CSTRING(0));
    const int32 typmod = PG_GETARG_INT32(2);

    reader.expect('[', "Vector contents must start with \"[\".");
    if (reader.skip(']'))
        failure::no_dimensions(type);

    Dense<Element> *vector = new_dense<Element>(reader.commas(max_dimensions - 1) + 1);
    int dimensions = 0;
    do {
        if (dimensions == max_dimensions)
            failure::too_many_dimensions(type, max_dimensions);
        vector->values[dimensions++] = read_element<Element>(&reader);
    } while (reader.skip(','));
    reader.expect(']');
    reader.expect_end("Junk after closing right brace.");
    check_expected_dimensions(typmod, dimensions);

    // Text behind the bracket is refused, so every comma counted separated two elements.
    Assert(VARSIZE(vector) == Dense<Element>::bytes(dimensions));
    return dense_datum(vector);
}

template <class Element>
Datum write_text(FunctionCallInfo fcinfo) {
    const Dense<Element> *vector = dense_argument<Element>(fcinfo, 0);

    // Per element the longest number and a comma (the constant counts a terminator instead), two
    // brackets and the terminator.
    const Size room = static_cast<Size>(vector->dimensions) * FLOAT_SHORTEST_DECIMAL_LEN + 3;
    auto *output = static_cast<char *>(palloc(room));
    char *end = output;
    char separator = '[';
    for (int i = 0; i < vector->dimensions; ++i) {
        *end++ = separator;
        end += float_to_shortest_decimal_bufn(to_number(vector->values[i]), end);
        separator = ',';
    }
    *end++ = ']';
    *end = '\0';
    PG_RETURN_CSTRING(output);
}

void receive(StringInfo message, float *element) { *element = pq_getmsgfloat4(message); }
void receive(StringInfo message, Half *element) {
    element->bits = static_cast<uint16>(pq_getmsgint(message, sizeof(uint16)));
}

void send(StringInfo message, float element) { pq_sendfloat4(message, element); }
void send(StringInfo message, Half element) { pq_sendint16(message, element.bits); }

template <class Element>
Datum read_binary(FunctionCallInfo fcinfo) {
    auto *message = reinterpret_cast<StringInfo>(PG_GETARG_POINTER(0));
    const int32 typmod = PG_GETARG_INT32(2);

    const int dimensions = static_cast<int>(pq_getmsgint(message, sizeof(int16)));
    const int unused = static_cast<int>(pq_getmsgint(message, sizeof(int16)));
    check_dimensions<Element>(dimensions);
    check_expected_dimensions(typmod, dimensions);
    if (unused != 0)
        ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
                        errmsg("expected unused to be 0, not %d", unused)));

    Dense<Element> *vector = new_dense<Element>(dimensions);
    for (int i = 0; i < dimensions; ++i) {
        receive(message, &vector->values[i]);
        check_element(vector->values[i]);
    }
    return dense_datum(vector);
}

template <class Element>
Datum write_binary(FunctionCallInfo fcinfo) {
    const Dense<Element> *vector = dense_argument<Element>(fcinfo, 0);
    StringInfoData message;
    pq_begintypsend(&message);
    pq_sendint16(&message, static_cast<uint16>(vector->dimensions));
    pq_sendint16(&message, static_cast<uint16>(vector->unused));
    for (int i = 0; i < vector->dimensions; ++i)
        send(&message, vector->values[i]);
    PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

}  // namespace

DVEC_FUNCTION(vector_in) { return read_text<float>(fcinfo); }
DVEC_FUNCTION(vector_out) { return write_text<float>(fcinfo); }
DVEC_FUNCTION(vector_recv) { return read_binary<float>(fcinfo); }
DVEC_FUNCTION(vector_send) { return write_binary<float>(fcinfo); }
DVEC_FUNCTION(vector_typmod_in) {
    PG_RETURN_INT32(declared_dimensions(fcinfo, Vector::type_name, max_dimensions));
}

DVEC_FUNCTION(halfvec_in) { return read_text<Half>(fcinfo); }
DVEC_FUNCTION(halfvec_out) { return write_text<Half>(fcinfo); }
DVEC_FUNCTION(halfvec_recv) { return read_binary<Half>(fcinfo); }
DVEC_FUNCTION(halfvec_send) { return write_binary<Half>(fcinfo); }
DVEC_FUNCTION(halfvec_typmod_in) {
    PG_RETURN_INT32(declared_dimensions(fcinfo, HalfVector::type_name, max_dimensions));
}

}  // namespace dvec::postgres
