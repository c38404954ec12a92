// ISA-L's crc32_iscsi is CRC-32C without the customary inversion before and after; doing the
// inversion here gives the standard value (RFC 3720) and makes parts composable.
#include "engine/base/checksum.hpp"

#include <isa-l/crc.h>

#include <algorithm>

namespace dvec::base {

std::uint32_t checksum(std::uint32_t previous, const void *data, std::size_t size) noexcept {
    // The library takes an int length and, for want of const, a mutable pointer it does not write
    // to.
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

}  // namespace dvec::base
