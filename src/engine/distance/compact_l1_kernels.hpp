// L1 distances of compact vectors (compact.hpp), over a register that the file of an instruction
// set describes by a type StepNumbers: a Floats (dense_kernels.hpp) that has in addition
//
//     nibbles(bytes, upper)    numbers for the lower or upper four bits of `width` bytes
//     bits(bytes, i)           `width` numbers that are 0 or 1, from bit i of the first byte on
//     sum_by_halves(register)  of all its numbers: the second half is added to the first until one
//                              number is left
//
// Every instruction set gives the same bits. Element i goes to lane i mod 32, the lanes are added
// up by halves, and each product of a step with its scale is exact, so that it makes no difference
// whether it is rounded before it is added.
//
// Everything here is static, and StepNumbers local to its file, for the reason that
// kernel_table.hpp gives.
#pragma once

#include "engine/distance/compact_kernels.hpp"

namespace dvec::distance {

// So that two registers of AVX-512 are in flight.
constexpr size_t compact_l1_lanes = 32;

// The difference of two elements with the steps i and j is
//
//     unit * (a_step * i - b_step * j + apart)
//
// The unit is a power of two near the greatest of these numbers. So nothing overflows but the
// distance itself, for vectors of any length.
struct CompactDifference {
    double unit;
    float a_step;
    float b_step;
    float apart;
};

// Keeps so many significant bits of a number.
static inline double rounded_to(unsigned bits, double number) {
    const unsigned lost = 53 - bits;
    uint64_t word;
    __builtin_memcpy(&word, &number, sizeof(word));
    word += uint64_t{1} << (lost - 1);
    word &= ~uint64_t{0} << lost;
    __builtin_memcpy(&number, &word, sizeof(word));
    return number;
}

// The exponents of doubles are kept with 1023 added to them, in the upper bits.
static inline double with_exponent(uint64_t kept) {
    const uint64_t word = kept << 52;
    double power;
    __builtin_memcpy(&power, &word, sizeof(power));
    return power;
}
static inline uint64_t kept_exponent(double number) {
    uint64_t word;
    __builtin_memcpy(&word, &number, sizeof(word));
    return word >> 52 & 0x7FF;
}

// A float has 24 bits: with `bits` fewer in the scale its product with a step is exact, and so is
// that with the middle in double. Of eight bits, the last element of a grid is moved by this by two
// thousandths of a step at most.
template <unsigned a_bits, unsigned b_bits>
static inline CompactDifference compact_difference(const CompactHeader &a, const CompactHeader &b) {
    constexpr double a_steps = 1U << a_bits;
    constexpr double b_steps = 1U << b_bits;
    const double a_step = rounded_to(24 - a_bits, a.step);
    const double b_step = rounded_to(24 - b_bits, b.step);
    const double a_least = a.mean - a_step * ((a_steps - 1) / 2);
    const double b_least = b.mean - b_step * ((b_steps - 1) / 2);
    const double apart = a_least - b_least;
    double greatest = __builtin_fabs(apart);
    greatest = greatest < a_step * a_steps ? a_step * a_steps : greatest;
    greatest = greatest < b_step * b_steps ? b_step * b_steps : greatest;
    const uint64_t exponent = kept_exponent(greatest);
    const double units = with_exponent(2 * 1023 - exponent);
    return {with_exponent(exponent), static_cast<float>(a_step * units),
            static_cast<float>(b_step * units), static_cast<float>(apart * units)};
}

template <typename StepNumbers, unsigned bits>
static inline typename StepNumbers::Register numbers_of_steps(const unsigned char *steps,
                                                              size_t i) {
    if constexpr (bits == 8) {
        return StepNumbers::numbers(steps + i);
    } else if constexpr (bits == 4) {
        return StepNumbers::nibbles(steps + i / 64 * 32 + i % 32, i % 64 >= 32);
    } else {
        return StepNumbers::bits(steps + i / 8, i % 8);
    }
}

// The differences of the elements of two vectors, a register of them at a time.
template <typename StepNumbers, unsigned a_bits, unsigned b_bits>
struct CompactDifferences {
    using Numbers = StepNumbers;
    using Register = typename Numbers::Register;

    const unsigned char *a;
    const unsigned char *b;
    Register a_step;
    Register minus_b_step;
    Register minus_apart;

    CompactDifferences(const void *a_bytes, const void *b_bytes, const CompactDifference &one)
        : a(static_cast<const unsigned char *>(a_bytes) + sizeof(CompactHeader)),
          b(static_cast<const unsigned char *>(b_bytes) + sizeof(CompactHeader)),
          a_step(Numbers::all(one.a_step)),
          minus_b_step(Numbers::all(-one.b_step)),
          minus_apart(Numbers::all(-one.apart)) {}

    Register from(size_t i) const {
        const Register a_steps = numbers_of_steps<Numbers, a_bits>(a, i);
        const Register b_steps = numbers_of_steps<Numbers, b_bits>(b, i);
        const Register of_a = Numbers::plus_product(Numbers::zero(), a_steps, a_step);
        const Register difference = Numbers::plus_product(of_a, b_steps, minus_b_step);
        return Numbers::absolute_difference(difference, minus_apart);
    }
};

// Sums in `count` registers side by side, a power of two.
template <typename Numbers, size_t count>
struct LaneSums {
    using Half = LaneSums<Numbers, count / 2>;
    static constexpr size_t half_width = count / 2 * Numbers::width;
    Half first;
    Half second;

    template <typename Differences>
    [[gnu::always_inline]] void add(const Differences &differences, size_t i) {
        first.add(differences, i);
        second.add(differences, i + half_width);
    }
    // Adds the first `rest` elements. Behind them are others, up to the compact width.
    template <typename Differences>
    [[gnu::always_inline]] void add_first(const Differences &differences, size_t i, size_t rest) {
        first.add_first(differences, i, rest);
        second.add_first(differences, i + half_width, rest < half_width ? 0 : rest - half_width);
    }
    static LaneSums plus(const LaneSums &a, const LaneSums &b) {
        return {Half::plus(a.first, b.first), Half::plus(a.second, b.second)};
    }
    float total() const { return Half::plus(first, second).total(); }
};

template <typename Numbers>
struct LaneSums<Numbers, 1> {
    typename Numbers::Register sum = Numbers::zero();

    template <typename Differences>
    [[gnu::always_inline]] void add(const Differences &differences, size_t i) {
        sum = Numbers::plus(sum, differences.from(i));
    }
    template <typename Differences>
    [[gnu::always_inline]] void add_first(const Differences &differences, size_t i, size_t rest) {
        if (rest >= Numbers::width) {
            add(differences, i);
        } else if (rest != 0) {
            sum = Numbers::plus(sum, Numbers::first(differences.from(i), rest));
        }
    }
    static LaneSums plus(const LaneSums &a, const LaneSums &b) {
        return {Numbers::plus(a.sum, b.sum)};
    }
    float total() const { return Numbers::sum_by_halves(sum); }
};

template <typename StepNumbers, unsigned a_bits, unsigned b_bits>
static float compact_l1_distance(const void *a, const void *b, size_t dimensions) {
    constexpr size_t lanes = compact_l1_lanes;
    const CompactDifference one =
        compact_difference<a_bits, b_bits>(compact_header(a), compact_header(b));
    const CompactDifferences<StepNumbers, a_bits, b_bits> differences(a, b, one);
    LaneSums<StepNumbers, lanes / StepNumbers::width> sums;
    const size_t whole = dimensions / lanes * lanes;
    for (size_t i = 0; i != whole; i += lanes) {
        sums.add(differences, i);
    }
    if (whole != dimensions) {
        sums.add_first(differences, whole, dimensions - whole);
    }
    return static_cast<float>(double{sums.total()} * one.unit);
}

template <typename StepNumbers, unsigned bits>
static constexpr Kernel compact_l1_row_of(const char *name) {
    return compact_row_of<bits, Metric::l1, compact_l1_distance<StepNumbers, bits, bits>,
                          compact_l1_distance<StepNumbers, bits_of_queries, bits>>(name);
}

}  // namespace dvec::distance
