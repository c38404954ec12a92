// Tests of the 64-bit keys of columns behind the vector, 64 keys at a time (graph/row_filter.hpp
// says what keys are).
//
// `keys` is an array of 64 at any address that is aligned for a key; bit i of the result is the
// answer for keys[i]. The same under every instruction set. Pure and thread-safe.
#pragma once

#include <stdint.h>

namespace dvec::distance {

struct KeyKernels {
    // first <= key <= first + span, which must not overflow.
    uint64_t (*within)(const uint64_t *keys, uint64_t first, uint64_t span);
    // (key & cared_for) == wanted, and the key is not the greatest of all.
    uint64_t (*matching)(const uint64_t *keys, uint64_t cared_for, uint64_t wanted);
};

// The kernels of the instruction set in use (isa.hpp).
const KeyKernels &key_kernels();

}  // namespace dvec::distance
