// CRC-32C, the checksum of every record and node, computed by ISA-L (hardware accelerated where the
// processor can). A checksum can be built from parts: checksum(checksum(0, a), b) == checksum(0,
// ab).
#pragma once

#include <cstddef>
#include <cstdint>

namespace dvec::base {

// CRC-32C (Castagnoli) of `size` bytes, continuing from `previous` (0 to begin).
std::uint32_t checksum(std::uint32_t previous, const void *data, std::size_t size) noexcept;

// Puts checksums together and takes them apart without reading the bytes, for bytes `ab` of which
// `b` has a fixed size. CRCs are linear: that of `ab` is that of `b`, and a term that depends on
// that of `a` and on the size of `b`.
class ChecksumJoin {
  public:
    explicit ChecksumJoin(std::size_t size_of_b);
    // checksum(0, ab) from checksum(0, a) and checksum(0, b).
    std::uint32_t whole(std::uint32_t a, std::uint32_t b) const noexcept { return moved(a) ^ b; }
    // checksum(0, b) from checksum(0, ab) and checksum(0, a).
    std::uint32_t rest(std::uint32_t ab, std::uint32_t a) const noexcept { return moved(a) ^ ab; }

  private:
    static constexpr unsigned bits = 4;  // looked up at a time

    std::uint32_t moved(std::uint32_t checksum) const noexcept {
        std::uint32_t term = 0;
        for (const auto &terms : terms_) {
            term ^= terms[checksum % (1u << bits)];
            checksum >>= bits;
        }
        return term;
    }

    std::uint32_t terms_[32 / bits][1u << bits];  // of each few bits of the checksum of `a`
};

}  // namespace dvec::base
