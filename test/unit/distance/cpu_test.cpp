// Processor detection: every required bit is required, and this machine is recognised.
#include <gtest/gtest.h>

#include <cstdint>

#include "engine/distance/cpu.hpp"
#include "engine/distance/isa.hpp"

namespace dvec::distance {
namespace {

constexpr CpuRegisters everything{0xffffffffU, 0xffffffffU, 0xffffffffU, ~std::uint64_t{0}};

constexpr int leaf1_bits[] = {12, 27, 28, 29};  // FMA, OSXSAVE, AVX, F16C
constexpr int leaf7_avx2_bit = 5;
constexpr int leaf7_avx512_bits[] = {16, 17, 30, 31};  // F, DQ, BW, VL
constexpr int xcr0_avx_bits[] = {1, 2};                // SSE and AVX state
constexpr int xcr0_avx512_bits[] = {5, 6, 7};          // masks and both parts of the zmm state

template <typename Word>
Word without(Word word, int position) {
    return word & ~(Word{1} << position);
}

void expect_neither(const CpuRegisters &registers, int position) {
    EXPECT_FALSE(x86_allows(Isa::avx2, registers)) << "without bit " << position;
    EXPECT_FALSE(x86_allows(Isa::avx512, registers)) << "without bit " << position;
}

void expect_avx2_only(const CpuRegisters &registers, int position) {
    EXPECT_TRUE(x86_allows(Isa::avx2, registers)) << "without bit " << position;
    EXPECT_FALSE(x86_allows(Isa::avx512, registers)) << "without bit " << position;
}

TEST(Cpu, EverythingAllowsBoth) {
    EXPECT_TRUE(x86_allows(Isa::avx2, everything));
    EXPECT_TRUE(x86_allows(Isa::avx512, everything));
}

TEST(Cpu, NothingAllowsNeither) { expect_neither(CpuRegisters{}, -1); }

TEST(Cpu, ProcessorFeaturesAreRequired) {
    for (const int position : leaf1_bits) {
        CpuRegisters registers = everything;
        registers.leaf1_ecx = without(registers.leaf1_ecx, position);
        expect_neither(registers, position);
    }
    CpuRegisters registers = everything;
    registers.leaf7_ebx = without(registers.leaf7_ebx, leaf7_avx2_bit);
    expect_neither(registers, leaf7_avx2_bit);
    for (const int position : leaf7_avx512_bits) {
        registers = everything;
        registers.leaf7_ebx = without(registers.leaf7_ebx, position);
        expect_avx2_only(registers, position);
    }
}

TEST(Cpu, RegisterStateSavedByTheSystemIsRequired) {
    for (const int position : xcr0_avx_bits) {
        CpuRegisters registers = everything;
        registers.xcr0 = without(registers.xcr0, position);
        expect_neither(registers, position);
    }
    for (const int position : xcr0_avx512_bits) {
        CpuRegisters registers = everything;
        registers.xcr0 = without(registers.xcr0, position);
        expect_avx2_only(registers, position);
    }
}

TEST(Cpu, CountingBitsNeedsAvx512AndTheBitOfItsOwn) {
    EXPECT_TRUE(x86_allows_avx512_popcount(everything));
    CpuRegisters registers = everything;
    registers.leaf7_ecx = without(registers.leaf7_ecx, 14);
    EXPECT_FALSE(x86_allows_avx512_popcount(registers));
    EXPECT_TRUE(x86_allows(Isa::avx512, registers));
    registers = everything;
    registers.leaf7_ebx = without(registers.leaf7_ebx, leaf7_avx512_bits[0]);
    EXPECT_FALSE(x86_allows_avx512_popcount(registers));
    EXPECT_FALSE(x86_allows_avx512_popcount(CpuRegisters{}));
}

TEST(Cpu, OtherInstructionSetsAreNotX86) {
    EXPECT_FALSE(x86_allows(Isa::scalar, everything));
    EXPECT_FALSE(x86_allows(Isa::neon, everything));
}

TEST(Cpu, AgreesWithTheCompilersOwnDetection) {
#if defined(__x86_64__)
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("avx512dq");
    EXPECT_EQ(isa_supported(Isa::avx2), avx2);
    EXPECT_EQ(isa_supported(Isa::avx512), avx512);
    EXPECT_FALSE(isa_supported(Isa::neon));
    EXPECT_EQ(cpu_allows_avx512_popcount(),
              avx512 && __builtin_cpu_supports("avx512vpopcntdq") != 0);
#elif defined(__aarch64__)
    EXPECT_TRUE(isa_supported(Isa::neon));
    EXPECT_FALSE(isa_supported(Isa::avx2));
    EXPECT_FALSE(isa_supported(Isa::avx512));
#else
    EXPECT_EQ(best_isa(), Isa::scalar);
#endif
}

}  // namespace
}  // namespace dvec::distance
