// How two bit strings overlap: what the kernels return for the Jaccard distance.
//
// No library header may be included here; kernel_table.hpp says why.
#pragma once

#include <stdint.h>

namespace dvec::distance {

struct BitOverlap {
    uint64_t both;    // bits set in a and in b
    uint64_t either;  // bits set in a, in b or in both
};

// 1 - both / either; 1 where no bit is shared, also when none is set at all.
static inline double jaccard_distance(BitOverlap overlap) {
    if (overlap.both == 0) {
        return 1;
    }
    return 1 - static_cast<double>(overlap.both) / static_cast<double>(overlap.either);
}

}  // namespace dvec::distance
