// Where and when a sidecar was last written: on which boot of the machine and in which file. After
// a crash this alone decides how far the mapped files can be believed: on the same boot and in the
// same file, the page cache has every byte that was stored, whoever died.
#pragma once

#include <cstdint>

#include "engine/base/file.hpp"

namespace dvec::store {

struct Place {
    std::uint64_t boot = 0;  // a digest of the boot id; 0 when the system has none to give
    base::FileIdentity nodes;

    bool operator==(const Place &) const = default;
};

// Of the running system.
std::uint64_t current_boot(base::FileSystem &file_system) noexcept;

}  // namespace dvec::store
