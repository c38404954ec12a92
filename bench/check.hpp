// What programs on the engine do with a failed Status.
#pragma once

#include "bench/failure.hpp"
#include "engine/base/status.hpp"

namespace dvec::bench {

inline void check(const base::Status &status) {
    if (!status.ok())
        fail(status.message());
}

}  // namespace dvec::bench
