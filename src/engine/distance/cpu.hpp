// Processor detection: which instruction sets this machine can run. The only place that asks.
#pragma once

#include <cstdint>

#include "engine/distance/isa.hpp"

namespace dvec::distance {

// The x86 registers the decision rests on, as read from the processor; zero where it has no such
// leaf. A processor may offer AVX while the operating system (or a hypervisor) does not save its
// registers on a context switch, so both must agree.
struct CpuRegisters {
    std::uint32_t leaf1_ecx = 0;  // CPUID 1: SSE3 … AVX, FMA, F16C and OSXSAVE
    std::uint32_t leaf7_ebx = 0;  // CPUID 7.0: AVX2 and AVX-512
    std::uint32_t leaf7_ecx = 0;  // CPUID 7.0: later parts of AVX-512
    std::uint64_t xcr0 = 0;       // XGETBV 0: the register state the operating system saves
};

// Reads this processor's registers; all zero on other architectures.
CpuRegisters read_cpu_registers();

// Whether a machine with these registers can run an x86 instruction set; false for every other Isa.
bool x86_allows(Isa isa, const CpuRegisters &registers);

// Whether this machine can run an instruction set.
bool cpu_allows(Isa isa);

// The same for the part of AVX-512 that counts bits, VPOPCNTDQ. It came years after the rest, so
// Isa::avx512 does not require it and uses it where it is present.
bool x86_allows_avx512_popcount(const CpuRegisters &registers);
bool cpu_allows_avx512_popcount();

}  // namespace dvec::distance
