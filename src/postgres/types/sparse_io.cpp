// How sparsevec values enter and leave SQL: the text form `{1:1.5,3:-2}/5`, in which indices begin
// at 1 and come in any order, the binary form, and the declared dimensions in sparsevec(n).
//
// Binary form, big-endian: int32 dimensions, int32 number of elements, int32 zero, then as many
// int32 indices, beginning at 0 and ascending, and as many float4 elements.
#include <algorithm>
#include <charconv>

#include "postgres/types/sparse.hpp"
#include "postgres/types/text_reader.hpp"
#include "postgres/types/typmod.hpp"

namespace dvec::postgres {
namespace {

struct IndexedElement {
    int32 index;
    float value;
};

// Zero elements are skipped, so the number of commas is only an upper bound of the number of
// elements.
int read_elements(TextReader *reader, IndexedElement *elements) {
    int count = 0;
    if (reader->skip('}'))
        return count;
    do {
        // Limited so that the subtraction cannot overflow; the bounds of the index are checked
        // later.
        const int32 index = std::max(reader->integer(), PG_INT32_MIN + 1) - 1;
        reader->expect(':');
        const TextReader::Number number = reader->number();
        if (number.out_of_range && (number.value == 0 || std::isinf(number.value)))
            failure::out_of_range(SparseVector::type_name, number.text, number.length);
        check_sparse_element(number.value);
        if (number.value != 0)
            elements[count++] = {index, number.value};
    } while (reader->skip(','));
    reader->expect('}');
    return count;
}

}  // namespace

DVEC_FUNCTION(sparsevec_in) {
    TextReader reader(SparseVector::type_name, PG_GETARG_CSTRING(0));
    const int32 typmod = PG_GETARG_INT32(2);

    // An upper bound of the number of elements, zeros included. Text with more than the maximum is
    // refused before it is parsed.
    const int bound = reader.commas(max_sparse_elements) + 1;
    check_sparse_count(bound, max_sparse_dimensions);
    auto *elements =
        static_cast<IndexedElement *>(palloc(sizeof(IndexedElement) * static_cast<Size>(bound)));

    reader.expect('{', "Vector contents must start with \"{\".");
    const int count = read_elements(&reader, elements);
    reader.expect('/', "Unexpected end of input.");
    const int32 dimensions = reader.integer();
    reader.expect_end("Junk after closing.");
    check_sparse_dimensions(dimensions);
    check_expected_dimensions(typmod, dimensions);

    std::sort(elements, elements + count,
              [](const IndexedElement &a, const IndexedElement &b) { return a.index < b.index; });
    SparseVector *vector = new_sparse(dimensions, count);
    for (int i = 0; i < count; ++i) {
        vector->indices[i] = elements[i].index;
        check_sparse_index(vector->indices, i, dimensions);
        vector->values()[i] = elements[i].value;
    }
    pfree(elements);
    return sparse_datum(vector);
}

DVEC_FUNCTION(sparsevec_out) {
    const SparseVector *vector = sparse_argument(fcinfo, 0);

    // Per element an index, a colon, the longest number and a comma (the constant counts a
    // terminator instead); two braces, a slash, the dimensions and the terminator.
    constexpr Size longest_integer = 11;
    const Size room =
        static_cast<Size>(vector->count) * (longest_integer + 1 + FLOAT_SHORTEST_DECIMAL_LEN) +
        longest_integer + 4;
    auto *output = static_cast<char *>(palloc(room));
    char *end = output;
    *end++ = '{';
    for (int i = 0; i < vector->count; ++i) {
        if (i > 0)
            *end++ = ',';
        end = std::to_chars(end, output + room, int64{vector->indices[i]} + 1).ptr;
        *end++ = ':';
        end += float_to_shortest_decimal_bufn(vector->values()[i], end);
    }
    *end++ = '}';
    *end++ = '/';
    end = std::to_chars(end, output + room, vector->dimensions).ptr;
    *end = '\0';
    PG_RETURN_CSTRING(output);
}

DVEC_FUNCTION(sparsevec_typmod_in) {
    PG_RETURN_INT32(declared_dimensions(fcinfo, SparseVector::type_name, max_sparse_dimensions));
}

DVEC_FUNCTION(sparsevec_recv) {
    auto *message = reinterpret_cast<StringInfo>(PG_GETARG_POINTER(0));
    const int32 typmod = PG_GETARG_INT32(2);

    const auto dimensions = static_cast<int32>(pq_getmsgint(message, sizeof(int32)));
    const auto count = static_cast<int32>(pq_getmsgint(message, sizeof(int32)));
    const auto unused = static_cast<int32>(pq_getmsgint(message, sizeof(int32)));
    check_sparse_dimensions(dimensions);
    check_sparse_count(count, dimensions);
    check_expected_dimensions(typmod, dimensions);
    if (unused != 0)
        ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
                        errmsg("expected unused to be 0, not %d", unused)));

    SparseVector *vector = new_sparse(dimensions, count);
    for (int i = 0; i < count; ++i) {
        vector->indices[i] = static_cast<int32>(pq_getmsgint(message, sizeof(int32)));
        check_sparse_index(vector->indices, i, dimensions);
    }
    for (int i = 0; i < count; ++i) {
        const float value = pq_getmsgfloat4(message);
        check_sparse_element(value);
        if (value == 0)
            ereport(ERROR,
                    (errcode(ERRCODE_DATA_EXCEPTION),
                     errmsg("binary representation of sparsevec cannot contain zero values")));
        vector->values()[i] = value;
    }
    return sparse_datum(vector);
}

DVEC_FUNCTION(sparsevec_send) {
    const SparseVector *vector = sparse_argument(fcinfo, 0);
    StringInfoData message;
    pq_begintypsend(&message);
    pq_sendint32(&message, static_cast<uint32>(vector->dimensions));
    pq_sendint32(&message, static_cast<uint32>(vector->count));
    pq_sendint32(&message, static_cast<uint32>(vector->unused));
    for (int i = 0; i < vector->count; ++i)
        pq_sendint32(&message, static_cast<uint32>(vector->indices[i]));
    for (int i = 0; i < vector->count; ++i)
        pq_sendfloat4(&message, vector->values()[i]);
    PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

}  // namespace dvec::postgres
