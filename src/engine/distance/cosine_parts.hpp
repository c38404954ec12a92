// The three sums a cosine is made of: what the kernels return for it and the operators finish.
//
// No library header may be included here; kernel_table.hpp says why.
#pragma once

namespace dvec::distance {

struct CosineParts {
    float dot;             // sum of a[i] * b[i]
    float squared_norm_a;  // sum of a[i]^2
    float squared_norm_b;  // sum of b[i]^2
};

}  // namespace dvec::distance
