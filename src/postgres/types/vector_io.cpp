// How vectors enter and leave SQL: the text form `[1,2.5,-3]`, the binary form, and the declared
// number of dimensions in vector(n).
//
// Binary form, big-endian: int16 dimensions, int16 zero, then one float4 per element.
#include <charconv>

#include "postgres/types/vector.hpp"

namespace dvec::postgres {
namespace {

constexpr bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Reads one vector's text from left to right.
class TextReader {
  public:
    explicit TextReader(const char *input)
        : input_(input), at_(input), end_(input + std::strlen(input)) {}

    // Consumes `expected`, with space before it; says whether it was there.
    bool skip(char expected);

    float element();

    // An upper bound of the elements that are still to come, for allocating room once.
    int element_bound() const;

    // Only space may be left.
    void expect_end();

    [[noreturn]] void malformed(const char *detail = nullptr) const;

  private:
    void skip_space() {
        while (is_space(*at_))
            ++at_;
    }

    float uncommon_element();

    const char *input_;
    const char *at_;
    const char *end_;  // the terminator
};

bool TextReader::skip(char expected) {
    skip_space();
    if (*at_ != expected)
        return false;
    ++at_;
    return true;
}

// from_chars is much faster than strtof and rounds alike. It is trusted with numbers that
// it read up to a delimiter; those in another notation, or beyond float's range, are strtof's.
float TextReader::element() {
    skip_space();
    float value = 0;
    const auto [after, error] = std::from_chars(at_, end_, value);
    if (error != std::errc() || !(*after == ',' || *after == ']' || is_space(*after)))
        return uncommon_element();
    check_element(value);
    at_ = after;
    return value;
}

// The grammar of float4: strtof's, hence also hexadecimal digits, a plus sign, and names for values
// that are then refused. The server runs with LC_NUMERIC set to C.
float TextReader::uncommon_element() {
    errno = 0;
    char *after = nullptr;
    const float value = std::strtof(at_, &after);
    if (after == at_)
        malformed();
    // Unlike float4, and like pgvector, a number too small to represent is taken for zero.
    if (errno == ERANGE && std::isinf(value))
        ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                        errmsg("\"%s\" is out of range for type vector",
                               pnstrdup(at_, static_cast<Size>(after - at_)))));
    check_element(value);
    at_ = after;
    return value;
}

int TextReader::element_bound() const {
    int bound = 1;
    for (const char *c = std::strchr(at_, ','); c != nullptr && bound < max_dimensions;
         c = std::strchr(c + 1, ','))
        ++bound;
    return bound;
}

void TextReader::expect_end() {
    skip_space();
    if (*at_ != '\0')
        malformed("Junk after closing right brace.");
}

void TextReader::malformed(const char *detail) const {
    ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                    errmsg("invalid input syntax for type vector: \"%s\"", input_),
                    detail != nullptr ? errdetail("%s", detail) : 0));
    pg_unreachable();
}

}  // namespace

DVEC_FUNCTION(vector_in) {
    TextReader reader(PG_GETARG_CSTRING(0));
    const int32 typmod = PG_GETARG_INT32(2);

    if (!reader.skip('['))
        reader.malformed("Vector contents must start with \"[\".");
    if (reader.skip(']'))
        failure::no_dimensions();

    Vector *vector = new_vector(reader.element_bound());
    int dimensions = 0;
    do {
        if (dimensions == max_dimensions)
            failure::too_many_dimensions();
        vector->values[dimensions++] = reader.element();
    } while (reader.skip(','));
    if (!reader.skip(']'))
        reader.malformed();
    reader.expect_end();
    check_expected_dimensions(typmod, dimensions);

    // Text behind the bracket is refused, so every comma counted separated two elements.
    Assert(VARSIZE(vector) == Vector::bytes(dimensions));
    return vector_datum(vector);
}

DVEC_FUNCTION(vector_out) {
    const Vector *vector = vector_argument(fcinfo, 0);

    // Per element the longest number and a comma (the constant counts a terminator instead), two
    // brackets and the terminator.
    const Size room = static_cast<Size>(vector->dimensions) * FLOAT_SHORTEST_DECIMAL_LEN + 3;
    auto *output = static_cast<char *>(palloc(room));
    char *end = output;
    char separator = '[';
    for (int i = 0; i < vector->dimensions; ++i) {
        *end++ = separator;
        end += float_to_shortest_decimal_bufn(vector->values[i], end);
        separator = ',';
    }
    *end++ = ']';
    *end = '\0';
    PG_RETURN_CSTRING(output);
}

DVEC_FUNCTION(vector_typmod_in) {
    int count = 0;
    const int32 *typmods = ArrayGetIntegerTypmods(PG_GETARG_ARRAYTYPE_P(0), &count);
    if (count != 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid type modifier")));
    if (typmods[0] < 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("dimensions for type vector must be at least 1")));
    if (typmods[0] > max_dimensions)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("dimensions for type vector cannot exceed %d", max_dimensions)));
    PG_RETURN_INT32(typmods[0]);
}

DVEC_FUNCTION(vector_recv) {
    auto *message = reinterpret_cast<StringInfo>(PG_GETARG_POINTER(0));
    const int32 typmod = PG_GETARG_INT32(2);

    const int dimensions = static_cast<int>(pq_getmsgint(message, sizeof(int16)));
    const int unused = static_cast<int>(pq_getmsgint(message, sizeof(int16)));
    check_dimensions(dimensions);
    check_expected_dimensions(typmod, dimensions);
    if (unused != 0)
        ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
                        errmsg("expected unused to be 0, not %d", unused)));

    Vector *vector = new_vector(dimensions);
    for (int i = 0; i < dimensions; ++i) {
        vector->values[i] = pq_getmsgfloat4(message);
        check_element(vector->values[i]);
    }
    return vector_datum(vector);
}

DVEC_FUNCTION(vector_send) {
    const Vector *vector = vector_argument(fcinfo, 0);
    StringInfoData message;
    pq_begintypsend(&message);
    pq_sendint16(&message, static_cast<uint16>(vector->dimensions));
    pq_sendint16(&message, static_cast<uint16>(vector->unused));
    for (int i = 0; i < vector->dimensions; ++i)
        pq_sendfloat4(&message, vector->values[i]);
    PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

}  // namespace dvec::postgres
