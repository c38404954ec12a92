// What one instruction set's file exports: a single constant table.
//
// Each of scalar.cpp, avx2.cpp, avx512.cpp, avx512_popcount.cpp and neon.cpp is compiled with its
// own machine flags. A function template or inline function of the C++ library instantiated there
// would be a weak symbol holding, say, AVX-512 code, and the linker may choose that copy for the
// whole program, which then crashes on a lesser processor. So those files include this header and
// intrinsics only, this header includes no library header, and all that they define is local but
// the table.
#pragma once

#include <stddef.h>

#include "engine/distance/bit_overlap.hpp"
#include "engine/distance/cosine_parts.hpp"
#include "engine/distance/half.hpp"
#include "engine/distance/kernel.hpp"
#include "engine/distance/keys.hpp"
#include "engine/distance/link_codes.hpp"

#if defined(__FAST_MATH__)
#error "the kernels promise NaN, infinity and denormals: do not compile them with -ffast-math"
#endif

namespace dvec::distance {

// What the operators on one type of dense vector are made of. The functions take pointers to its
// elements.
struct DenseKernels {
    DistanceFunction l2_squared;
    DistanceFunction negative_inner_product;
    DistanceFunction l1;
    CosineParts (*cosine_parts)(const void *a, const void *b, size_t dimensions);
    double (*squared_norm)(const void *a, size_t dimensions);
};

// What the operators on bit strings are made of.
struct BitKernels {
    uint64_t (*differing)(const void *a, const void *b, size_t bytes);
    BitOverlap (*overlap)(const void *a, const void *b, size_t bytes);
};

// A table is constant-initialised, so it can be used from any static initialiser. Where an
// instruction set has no code of its own for something, the function is null or the row is missing;
// where the target architecture lacks the set, all are missing. The dispatcher then asks the next
// table.
struct KernelTable {
    const Kernel *rows = nullptr;
    size_t row_count = 0;
    DenseKernels float32 = {};
    DenseKernels float16 = {};
    BitKernels bits = {};
    KeyKernels keys = {};
    LinkCodeKernels link_codes = {};
};

extern const KernelTable scalar_table;
extern const KernelTable neon_table;
extern const KernelTable avx2_table;
extern const KernelTable avx512_table;
extern const KernelTable avx512_popcount_table;
extern const KernelTable sparse_table;  // for every instruction set

// The FourDistancesFunction of kernels that gain nothing from four vectors at a time.
template <DistanceFunction measure>
static void four_by_one(const void *query, const void *const *vectors, size_t dimensions,
                        float *distances) {
    for (size_t i = 0; i < 4; ++i) {
        distances[i] = measure(query, vectors[i], dimensions);
    }
}

}  // namespace dvec::distance
