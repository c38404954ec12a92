// Reads the text of one vector value from left to right. Shared by the input functions of all
// vector types. White space is allowed around every token.
//
// Text that is not what the caller asks for raises 22P02 in the words of the type. Numbers have the
// grammar of float4 and are rounded once.
#pragma once

#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

class TextReader {
  public:
    // `type` is the name of the SQL type. Both texts must outlive the reader.
    TextReader(const char *type, const char *input)
        : type_(type), input_(input), at_(input), end_(input + std::strlen(input)) {}

    // Consumes `expected`, with space before it; says whether it was there.
    bool skip(char expected);
    // The same for a character that must be there.
    void expect(char expected, const char *detail = nullptr);
    // Only space may be left.
    void expect_end(const char *detail);

    struct Number {
        float value;  // infinite or zero where the number is out of range
        bool out_of_range;
        const char *text;
        Size length;
    };
    Number number();

    // A decimal integer. Values outside the range of int32 are clamped to it.
    int32 integer();

    // How many commas are still to come, counted up to `most`.
    int commas(int most) const;

    [[noreturn]] void malformed(const char *detail = nullptr) const;

  private:
    void skip_space();
    Number uncommon_number();

    const char *type_;
    const char *input_;
    const char *at_;
    const char *end_;  // the terminator
};

}  // namespace dvec::postgres
