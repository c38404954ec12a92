// CRC-32C, the checksum of every record and node, computed by ISA-L (hardware accelerated where the
// processor can). A checksum can be built from parts: checksum(checksum(0, a), b) == checksum(0,
// ab).
#pragma once

#include <cstddef>
#include <cstdint>

namespace dvec::base {

// CRC-32C (Castagnoli) of `size` bytes, continuing from `previous` (0 to begin).
std::uint32_t checksum(std::uint32_t previous, const void *data, std::size_t size) noexcept;

}  // namespace dvec::base
