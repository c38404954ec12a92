// What an index holds of one row besides its TID.
#pragma once

#include <cstdint>

namespace dvec::graph {

struct Row {
    const void *vector;                   // of layout().vector_bytes
    const std::uint64_t *keys = nullptr;  // layout().columns of them; null where there are none

    // Implicit, so that a caller without columns can pass just a vector.
    Row(const void *row_vector, const std::uint64_t *row_keys = nullptr) noexcept
        : vector(row_vector), keys(row_keys) {}
};

}  // namespace dvec::graph
