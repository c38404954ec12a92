// How the kernels of all instruction sets take a code apart.
//
// dense_kernels.hpp and scalar.cpp have a type Code each, which is made from the address of a code
// and used in place of the elements of a vector. The loops are those for vectors, so the order of
// summation and the number of roundings that float32.hpp allows are the same. In addition each
// element is rounded once or twice when it is decoded, which code.cpp takes into account.
//
// Everything here is static, so that no code made for one instruction set is visible outside of its
// object (kernel_table.hpp).
#pragma once

#include "engine/distance/code.hpp"

namespace dvec::distance {

static inline const unsigned char *code_steps(const void *code) {
    return static_cast<const unsigned char *>(code) + sizeof(CodeHeader);
}

// The last `count` bytes of a code, from 1 to 8, the first of them lowest, filled up with zeros.
// They are read as the end of a whole word, since memory may end behind them. The word may begin in
// the header, which is long enough for that.
static inline uint64_t last_steps(const unsigned char *steps, size_t count) {
    static_assert(sizeof(CodeHeader) >= sizeof(uint64_t));
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
    uint64_t bytes;
    __builtin_memcpy(&bytes, steps + count - sizeof(bytes), sizeof(bytes));
    return bytes >> (8 * (sizeof(bytes) - count));
}

}  // namespace dvec::distance
