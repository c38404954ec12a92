// ISA-L's crc32_iscsi is CRC-32C without the customary inversion before and after; doing the
// inversion here gives the standard value (RFC 3720) and makes parts composable.
#include "engine/base/checksum.hpp"

#include <isa-l/crc.h>

#include <algorithm>
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

// The term is the same whatever `b` is, so it can be told from zeros.
ChecksumJoin::ChecksumJoin(std::size_t size_of_b) {
    const std::vector<std::byte> zeros(size_of_b);
    const std::uint32_t nothing = checksum(0, zeros.data(), size_of_b);
    unsigned shift = 0;
    for (auto &terms : terms_) {
        terms[0] = 0;
        for (unsigned bit = 0; bit < bits; ++bit) {
            const std::uint32_t term =
                checksum(std::uint32_t{1} << (shift + bit), zeros.data(), size_of_b) ^ nothing;
            for (unsigned lower = 0; lower < 1u << bit; ++lower)
                terms[(1u << bit) + lower] = terms[lower] ^ term;
        }
        shift += bits;
    }
}

}  // namespace dvec::base
