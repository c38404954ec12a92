// The tokens that vectors are written with.
#include "postgres/types/text_reader.hpp"

#include <charconv>

#include "postgres/types/dense.hpp"

namespace dvec::postgres {
namespace {

constexpr bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

constexpr bool ends_number(char c) { return c == ',' || c == ']' || c == '}' || is_space(c); }

}  // namespace

void TextReader::skip_space() {
    while (is_space(*at_))
        ++at_;
}

bool TextReader::skip(char expected) {
    skip_space();
    if (*at_ != expected)
        return false;
    ++at_;
    return true;
}

void TextReader::expect(char expected, const char *detail) {
    if (!skip(expected))
        malformed(detail);
}

void TextReader::expect_end(const char *detail) {
    skip_space();
    if (*at_ != '\0')
        malformed(detail);
}

// from_chars is much faster than strtof and rounds alike. Its result is used when it read the
// number up to a delimiter. Numbers in other notations, or beyond the range of float, are parsed by
// strtof.
TextReader::Number TextReader::number() {
    skip_space();
    float value = 0;
    const auto [after, error] = std::from_chars(at_, end_, value);
    if (error != std::errc() || !ends_number(*after))
        return uncommon_number();
    const Number number{value, false, at_, static_cast<Size>(after - at_)};
    at_ = after;
    return number;
}

// The grammar of float4: strtof's, hence also hexadecimal digits, a plus sign, and names for values
// that are then refused. The server runs with LC_NUMERIC set to C.
TextReader::Number TextReader::uncommon_number() {
    errno = 0;
    char *after = nullptr;
    const float value = std::strtof(at_, &after);
    if (after == at_)
        malformed();
    const Number number{value, errno == ERANGE, at_, static_cast<Size>(after - at_)};
    at_ = after;
    return number;
}

int32 TextReader::integer() {
    skip_space();
    char *after = nullptr;
    const long value = std::strtol(at_, &after, 10);
    if (after == at_)
        malformed();
    at_ = after;
    return static_cast<int32>(value > PG_INT32_MAX   ? PG_INT32_MAX
                              : value < PG_INT32_MIN ? PG_INT32_MIN
                                                     : value);
}

int TextReader::commas(int most) const {
    int count = 0;
    for (const char *c = std::strchr(at_, ','); c != nullptr && count < most;
         c = std::strchr(c + 1, ','))
        ++count;
    return count;
}

void TextReader::malformed(const char *detail) const { failure::malformed(type_, input_, detail); }

}  // namespace dvec::postgres
