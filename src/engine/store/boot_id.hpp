// On which boot of the machine a sidecar was last written: on the same boot the page cache has
// every byte that was stored, whoever died (survival.hpp).
#pragma once

#include <cstdint>

#include "engine/base/file.hpp"

namespace dvec::store {

// Of the running system: a digest of the boot id; 0 when the system has none to give.
std::uint64_t current_boot_id(base::FileSystem &file_system);

}  // namespace dvec::store
