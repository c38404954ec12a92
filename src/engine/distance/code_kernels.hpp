// How the kernels of all instruction sets take a code apart.
//
// Each of their files has a type Code, which stands where a pointer to the elements of a vector
// would: it is made from the address of a code, moved along by adding, and gives what load() and
// load_first() of a pointer would. The loops are those of vectors, hence the order of summation,
// and the number of roundings that float32.hpp allows, are as well; on top of them each element is
// rounded once or twice when it is decoded, which code.cpp reckons with.
//
// Everything here is static, so that no code made for one instruction set is visible outside of its
// object (kernel_table.hpp).
#pragma once

#include "engine/distance/code.hpp"

namespace dvec::distance {

static inline const unsigned char *code_steps(const void *code) {
    return static_cast<const unsigned char *>(code) + sizeof(CodeHeader);
}

// The last `count` bytes of a code, from 1 to 8, the first of them lowest, and zeros. Read from
// what ends with them, for behind them memory may end; the header is long enough to begin in.
static inline uint64_t last_steps(const unsigned char *steps, size_t count) {
    static_assert(sizeof(CodeHeader) >= sizeof(uint64_t));
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
    uint64_t bytes;
    __builtin_memcpy(&bytes, steps + count - sizeof(bytes), sizeof(bytes));
    return bytes >> (8 * (sizeof(bytes) - count));
}

}  // namespace dvec::distance
