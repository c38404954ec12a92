// Half-precision numbers (IEEE 754 binary16): 1 sign, 5 exponent and 10 fraction bits. Compilers
// and processors differ in what they offer for such numbers, so a value is kept as its bits, and
// the conversions here are the same everywhere.
//
// Seen by the files compiled for one instruction set (kernel_table.hpp): no library header, and
// every function static, so that no object's copy can be taken for another's.
#pragma once

#include <stdint.h>

namespace dvec::distance {

// To compare halves as numbers, widen() them; their bits must not be compared, since there are two
// zeros.
struct Half {
    uint16_t bits;
};
static_assert(sizeof(Half) == 2 && alignof(Half) == 2);

inline constexpr float largest_half = 65504;

// The same number as a float. Exact, since a float can hold every half; NaN stays NaN.
static inline float widen(Half half) {
    // When the fields of a half are moved to the fields of a float, the value is too small by a
    // factor of 2^112, the difference of the exponents' biases. The multiplication corrects that;
    // it is exact, as by any power of two, and also normalises halves that are denormal.
    const uint32_t magnitude = static_cast<uint32_t>(half.bits & 0x7fff) << 13;
    const float value = __builtin_bit_cast(float, magnitude) * 0x1p112F;
    uint32_t bits = __builtin_bit_cast(uint32_t, value);
    if ((half.bits & 0x7c00) == 0x7c00) {
        bits |= 0x7f800000;
    }
    bits |= static_cast<uint32_t>(half.bits & 0x8000) << 16;
    return __builtin_bit_cast(float, bits);
}

// The nearest half; of two that are equally near, the one whose last bit is 0. Infinity from 65520
// on, which is half a unit beyond the largest half.
static inline Half narrow(float value) {
    const uint32_t bits = __builtin_bit_cast(uint32_t, value);
    const uint32_t sign = bits >> 16 & 0x8000;
    const uint32_t magnitude = bits & 0x7fffffff;
    uint32_t half = 0;
    if (magnitude > 0x7f800000) {
        half = 0x7e00 | (magnitude >> 13 & 0x3ff);
    } else if (magnitude >= 0x477ff000) {
        half = 0x7c00;
    } else if (magnitude >= 0x38800000) {
        // Carries run from the fraction into the exponent, as they should.
        half = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
    } else {
        // Below 2^-14 halves are multiples of 2^-24, which is also the value of the last bit of a
        // float from 0.5 on. So the addition rounds to such a multiple.
        const float sum = __builtin_bit_cast(float, magnitude) + 0.5F;
        half = __builtin_bit_cast(uint32_t, sum) - 0x3f000000;
    }
    return {static_cast<uint16_t>(sign | half)};
}

}  // namespace dvec::distance
