// Processor detection from CPUID and the register state that the operating system saves.
#include "engine/distance/cpu.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace dvec::distance {

namespace {

constexpr std::uint32_t bit(unsigned position) { return std::uint32_t{1} << position; }

constexpr std::uint32_t leaf1_fma = bit(12);
constexpr std::uint32_t leaf1_osxsave = bit(27);
constexpr std::uint32_t leaf1_avx = bit(28);
constexpr std::uint32_t leaf1_f16c = bit(29);
constexpr std::uint32_t leaf1_for_avx2 = leaf1_fma | leaf1_osxsave | leaf1_avx | leaf1_f16c;

constexpr std::uint32_t leaf7_ecx_vpopcntdq = bit(14);

constexpr std::uint32_t leaf7_avx2 = bit(5);
constexpr std::uint32_t leaf7_avx512f = bit(16);
constexpr std::uint32_t leaf7_avx512dq = bit(17);
constexpr std::uint32_t leaf7_avx512bw = bit(30);
constexpr std::uint32_t leaf7_avx512vl = bit(31);
constexpr std::uint32_t leaf7_for_avx512 =
    leaf7_avx512f | leaf7_avx512dq | leaf7_avx512bw | leaf7_avx512vl;

constexpr std::uint64_t xcr0_sse = bit(1);
constexpr std::uint64_t xcr0_ymm = bit(2);
constexpr std::uint64_t xcr0_masks = bit(5);
constexpr std::uint64_t xcr0_zmm_low = bit(6);   // upper halves of zmm0 to zmm15
constexpr std::uint64_t xcr0_zmm_high = bit(7);  // zmm16 to zmm31
constexpr std::uint64_t xcr0_for_avx2 = xcr0_sse | xcr0_ymm;
constexpr std::uint64_t xcr0_for_avx512 = xcr0_masks | xcr0_zmm_low | xcr0_zmm_high;

template <typename Word>
constexpr bool has_all(Word word, Word wanted) {
    return (word & wanted) == wanted;
}

bool allows_avx2(const CpuRegisters &registers) {
    return has_all(registers.leaf1_ecx, leaf1_for_avx2) &&
           has_all(registers.leaf7_ebx, leaf7_avx2) && has_all(registers.xcr0, xcr0_for_avx2);
}

// The AVX-512 file is compiled with AVX2 and FMA allowed, so it needs all that AVX2 needs.
bool allows_avx512(const CpuRegisters &registers) {
    return allows_avx2(registers) && has_all(registers.leaf7_ebx, leaf7_for_avx512) &&
           has_all(registers.xcr0, xcr0_for_avx512);
}

const CpuRegisters &cpu_registers() {
    static const CpuRegisters registers = read_cpu_registers();
    return registers;
}

}  // namespace

CpuRegisters read_cpu_registers() {
    CpuRegisters registers;
#if defined(__x86_64__)
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0) {
        registers.leaf1_ecx = ecx;
    }
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) {
        registers.leaf7_ebx = ebx;
        registers.leaf7_ecx = ecx;
    }
    // XGETBV is an illegal instruction unless the operating system has enabled it. Written as
    // assembly because the intrinsic needs a compiler flag that this file must not be built with.
    if (has_all(registers.leaf1_ecx, leaf1_osxsave)) {
        std::uint32_t low = 0;
        std::uint32_t high = 0;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        registers.xcr0 = std::uint64_t{high} << 32 | low;
    }
#endif
    return registers;
}

bool x86_allows(Isa isa, const CpuRegisters &registers) {
    switch (isa) {
        case Isa::avx2:
            return allows_avx2(registers);
        case Isa::avx512:
            return allows_avx512(registers);
        case Isa::scalar:
        case Isa::neon:
            break;
    }
    return false;
}

bool x86_allows_avx512_popcount(const CpuRegisters &registers) {
    return allows_avx512(registers) && has_all(registers.leaf7_ecx, leaf7_ecx_vpopcntdq);
}

bool cpu_allows_avx512_popcount() { return x86_allows_avx512_popcount(cpu_registers()); }

bool cpu_allows(Isa isa) {
    switch (isa) {
        case Isa::scalar:
            return true;
        case Isa::neon:
#if defined(__aarch64__)
            return true;  // NEON is part of the base architecture
#else
            return false;
#endif
        case Isa::avx2:
        case Isa::avx512:
            break;
    }
    return x86_allows(isa, cpu_registers());
}

}  // namespace dvec::distance
