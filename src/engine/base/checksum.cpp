// ISA-L's crc32_iscsi is CRC-32C without the customary inversion before and after; doing the
// inversion here gives the standard value (RFC 3720) and makes parts composable.
#include "engine/base/checksum.hpp"

#include <isa-l/crc.h>

#include <algorithm>
#include <bit>
#include <vector>

namespace dvec::base {

std::uint32_t checksum(std::uint32_t previous, const void *data, std::size_t size) noexcept {
    // The library takes an int as length, and a pointer to mutable bytes although it does not write
    // to them.
    constexpr std::size_t piece_limit = std::size_t{1} << 30;
    auto *bytes = static_cast<unsigned char *>(const_cast<void *>(data));
    std::uint32_t crc = ~previous;
    while (size > 0) {
        const std::size_t piece = std::min(size, piece_limit);
        crc = crc32_iscsi(bytes, static_cast<int>(piece), crc);
        bytes += piece;
        size -= piece;
    }
    return ~crc;
}

ChecksumTail::ChecksumTail(std::size_t size) {
    const std::vector<std::byte> zeros(size);
    const std::uint32_t nothing = checksum(0, zeros.data(), size);
    for (unsigned bit = 0; bit < 32; ++bit)
        shifted_[bit] = checksum(std::uint32_t{1} << bit, zeros.data(), size) ^ nothing;
}

std::uint32_t ChecksumTail::operator()(std::uint32_t whole, std::uint32_t before) const noexcept {
    for (; before != 0; before &= before - 1)
        whole ^= shifted_[std::countr_zero(before)];
    return whole;
}

}  // namespace dvec::base
