// What the distances of all vector types share once the kernels have answered.
#pragma once

#include "engine/distance/cosine_parts.hpp"
#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

// Rounding may carry a cosine past 1; a NaN stays one.
inline double clamp_cosine(double cosine) { return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine; }

inline double cosine_distance_of(const distance::CosineParts &parts) {
    // One root of the product, which in double neither overflows nor underflows.
    const double norms = std::sqrt(static_cast<double>(parts.squared_norm_a) *
                                   static_cast<double>(parts.squared_norm_b));
    return 1 - clamp_cosine(parts.dot / norms);
}

}  // namespace dvec::postgres
