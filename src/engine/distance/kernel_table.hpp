// What one instruction set's file exports: a single constant table.
//
// Each of scalar.cpp, avx2.cpp, avx512.cpp and neon.cpp is compiled with its own machine flags. A
// function template or inline function of the C++ library instantiated there would be a weak symbol
// holding, say, AVX-512 code, and the linker may choose that copy for the whole program, which then
// crashes on a lesser processor. So those files include this header and intrinsics only, this
// header includes no library header, and all that they define is local but the table.
#pragma once

#include <stddef.h>

#include "engine/distance/cosine_parts.hpp"
#include "engine/distance/kernel.hpp"

#if defined(__FAST_MATH__)
#error "the kernels promise NaN, infinity and denormals: do not compile them with -ffast-math"
#endif

namespace dvec::distance {

// A table is constant-initialised, hence usable from any static initialiser. It is empty, with no
// rows and null functions, where the target architecture lacks the instruction set.
struct KernelTable {
    const Kernel *rows;
    size_t row_count;
    DistanceFunction l2_squared;
    DistanceFunction negative_inner_product;
    DistanceFunction l1;
    CosineParts (*cosine_parts)(const float *a, const float *b, size_t dimensions);
    double (*squared_norm)(const float *a, size_t dimensions);
};

extern const KernelTable scalar_table;
extern const KernelTable neon_table;
extern const KernelTable avx2_table;
extern const KernelTable avx512_table;

}  // namespace dvec::distance
