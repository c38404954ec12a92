// Sums of a query's elements with the signs that link codes give (graph/link_codes.hpp says what
// those are), of thirty-two codes at a time: the parts of a sum are looked up by four bits in
// tables of sixteen bytes, which instruction sets do for a whole register at once (André, Kermarrec
// and Le Scouarnec: Cache Locality is not Enough, PVLDB 9(4), 2015).
//
// Seen by the kernel files: no library headers (kernel_table.hpp says why).
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace dvec::distance {

// So many codes stand together.
constexpr size_t codes_at_once = 32;

// What makes distances of sums: with the two numbers a and b of a code, and its sum s,
// node + share * a + b * (least + step * s).
struct LinkCodeTerms {
    float node, share, least, step;
};

// A code has `bytes` bytes, a multiple of two. Byte b of all thirty-two codes stands at
// codes + 32 * b. For byte b, tables + 32 * b has what its lower four bits stand for, and
// tables + 32 * (bytes + b) its upper ones: sixteen values, twice, none above 127. sums[j] gets the
// sum for code j; all sums must be below 65536. The same under every instruction set.
struct LinkCodeKernels {
    void (*sums)(const unsigned char *codes, const unsigned char *tables, size_t bytes,
                 uint16_t *sums);
    // Of thirty-two codes: `numbers` has the first of each, then the second. Minus infinity for
    // what is not a number.
    void (*distances)(const uint16_t *sums, const float *numbers, const LinkCodeTerms &terms,
                      float *distances);
};

// The kernels of the instruction set in use (isa.hpp).
const LinkCodeKernels &link_code_kernels();

}  // namespace dvec::distance
