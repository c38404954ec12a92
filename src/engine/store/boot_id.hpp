// Tells on which boot of the machine a sidecar was last written: while that boot lasts, the page
// cache has every byte that was stored, whichever processes have died (survival.hpp).
#pragma once

#include <cstdint>

#include "engine/base/file.hpp"

namespace dvec::store {

// A digest of the running system's boot id; 0 when the system does not give one.
std::uint64_t current_boot_id(base::FileSystem &file_system);

}  // namespace dvec::store
