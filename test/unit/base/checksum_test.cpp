// The checksum is the standard CRC-32C and can be put together from parts.
#include "engine/base/checksum.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <string_view>
#include <vector>

namespace dvec::base {
namespace {

// Bit by bit from the definition: the reference for every length and alignment.
std::uint32_t reference(const std::vector<unsigned char> &bytes) {
    constexpr std::uint32_t reflected_polynomial = 0x82F63B78;
    std::uint32_t crc = ~0u;
    for (const unsigned char byte : bytes) {
        crc ^= byte;
        for (int bit = 0; bit < 8; ++bit)
            crc = crc >> 1 ^ (reflected_polynomial & (0u - (crc & 1)));
    }
    return ~crc;
}

std::uint32_t of(const std::vector<unsigned char> &bytes) {
    return checksum(0, bytes.data(), bytes.size());
}

TEST(Checksum, PublishedVectors) {
    constexpr std::string_view digits = "123456789";
    EXPECT_EQ(checksum(0, digits.data(), digits.size()), 0xE3069283u);
    // RFC 3720, B.4
    EXPECT_EQ(of(std::vector<unsigned char>(32, 0x00)), 0x8A9136AAu);
    EXPECT_EQ(of(std::vector<unsigned char>(32, 0xFF)), 0x62A8AB43u);
    std::vector<unsigned char> rising(32);
    std::iota(rising.begin(), rising.end(), 0);
    EXPECT_EQ(of(rising), 0x46DD794Eu);
    EXPECT_EQ(of({rising.rbegin(), rising.rend()}), 0x113FDB5Cu);
    std::vector<unsigned char> scsi_read(48, 0);
    scsi_read[0] = 0x01;
    scsi_read[1] = 0xC0;
    scsi_read[16] = 0x14;
    scsi_read[22] = 0x04;
    scsi_read[27] = 0x14;
    scsi_read[31] = 0x18;
    scsi_read[32] = 0x28;
    scsi_read[40] = 0x02;
    EXPECT_EQ(of(scsi_read), 0xD9963A56u);
}

TEST(Checksum, NothingLeavesItAsItWas) {
    EXPECT_EQ(checksum(0, nullptr, 0), 0u);
    EXPECT_EQ(checksum(0x12345678, nullptr, 0), 0x12345678u);
}

TEST(Checksum, EveryLengthAndAlignment) {
    std::vector<unsigned char> bytes(700);
    std::uint32_t word = 1;
    for (unsigned char &byte : bytes) {
        word = word * 1664525 + 1;
        byte = static_cast<unsigned char>(word >> 24);
    }
    for (std::size_t begin = 0; begin < 9; ++begin)
        for (std::size_t size = 0; begin + size <= bytes.size(); size += size < 70 ? 1 : 37)
            ASSERT_EQ(checksum(0, bytes.data() + begin, size),
                      reference({bytes.begin() + static_cast<std::ptrdiff_t>(begin),
                                 bytes.begin() + static_cast<std::ptrdiff_t>(begin + size)}))
                << begin << " " << size;
}

TEST(Checksum, PartsMakeTheWhole) {
    std::vector<unsigned char> bytes(300);
    std::iota(bytes.begin(), bytes.end(), 0);
    for (std::size_t split = 0; split <= bytes.size(); ++split)
        ASSERT_EQ(
            checksum(checksum(0, bytes.data(), split), bytes.data() + split, bytes.size() - split),
            of(bytes));
}

TEST(Checksum, EveryFlippedBitIsSeen) {
    std::vector<unsigned char> bytes(512, 0xA5);
    const std::uint32_t whole = of(bytes);
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        bytes[bit / 8] ^= static_cast<unsigned char>(1 << bit % 8);
        ASSERT_NE(of(bytes), whole) << bit;
        bytes[bit / 8] ^= static_cast<unsigned char>(1 << bit % 8);
    }
}

// Told from each other as if the bytes had been read.
TEST(Checksum, OfPartsAndOfTheWholeAreKnownFromEachOther) {
    for (const std::size_t size : {0u, 1u, 12u, 63u, 4096u, 12007u}) {
        const ChecksumJoin join(size);
        std::vector<unsigned char> bytes(12 + size);
        std::iota(bytes.begin(), bytes.end(), static_cast<unsigned char>(size));
        for (std::uint32_t bit = 0; bit < 96; ++bit) {
            bytes[bit / 8] ^= static_cast<unsigned char>(1u << bit % 8);
            const std::uint32_t whole = of(bytes);
            const std::uint32_t before = checksum(0, bytes.data(), 12);
            const std::uint32_t rest = checksum(0, bytes.data() + 12, size);
            EXPECT_EQ(join.whole(before, rest), whole) << size;
            EXPECT_EQ(join.rest(whole, before), rest) << size;
        }
    }
}

}  // namespace
}  // namespace dvec::base
