// CRC-32C, the checksum of every record and node, computed by ISA-L (hardware accelerated where the
// processor can). A checksum can be built from parts: checksum(checksum(0, a), b) == checksum(0,
// ab).
#pragma once

#include <cstddef>
#include <cstdint>

namespace dvec::base {

// CRC-32C (Castagnoli) of `size` bytes, continuing from `previous` (0 to begin).
std::uint32_t checksum(std::uint32_t previous, const void *data, std::size_t size) noexcept;

// Computes the checksum of a record's last `size` bytes without reading them, from the checksum of
// the whole record and the checksum of the part before them: checksum(0, b) == tail(checksum(0,
// ab), checksum(0, a)) when b has that size. CRCs are linear, so the part before adds a term of its
// own.
class ChecksumTail {
  public:
    explicit ChecksumTail(std::size_t size);
    std::uint32_t operator()(std::uint32_t whole, std::uint32_t before) const noexcept;

  private:
    std::uint32_t shifted_[32];  // what each bit of the former checksum becomes behind the tail
};

}  // namespace dvec::base
