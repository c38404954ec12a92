// Which instruction set measures distances: chosen once, asked for and pinned here.
//
// The choice is process-wide. It is made on first use, from what the processor offers and the
// operating system preserves, and costs nothing afterwards. First use may come from a static
// initialiser or from several threads at once. A forked process inherits its parent's choice.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/distance/kernel.hpp"

namespace dvec::distance {

// In ascending order of preference; only the order of sets that the same machine can run matters.
enum class Isa : std::uint8_t {
    scalar,  // portable C++; the reference the others are tested against
    neon,    // 64-bit ARM
    avx2,    // x86-64 with AVX2, FMA and F16C
    avx512,  // x86-64 with AVX-512 F, BW, DQ and VL
};

inline constexpr Isa every_isa[] = {Isa::scalar, Isa::neon, Isa::avx2, Isa::avx512};

// Whether this machine can run the kernels of an instruction set; always true for scalar.
bool isa_supported(Isa isa);

// The most preferred supported instruction set. It is active unless another one was selected.
Isa best_isa();

// The instruction set in use.
Isa active_isa();

// Makes `isa` the active one for every later call of find_kernel and of float32.hpp, in all
// threads. Returns false and changes nothing when the machine does not support it. Calls that race
// with the selection run the old or the new kernels. Rows found before keep their own.
bool select_isa(Isa isa);

// "scalar", "neon", "avx2" or "avx512".
const char *isa_name(Isa isa);

// The inverse of isa_name, exact in spelling and case; nothing for any other text.
std::optional<Isa> parse_isa(std::string_view name);

// The row for a pair under a given instruction set, or nullptr when the pair is unknown or the
// machine does not support the set. A set without a kernel of its own for the pair answers with
// the scalar row.
const Kernel *find_kernel(Isa isa, Element element, Metric metric);

}  // namespace dvec::distance
