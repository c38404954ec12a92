// The kernels on dense vectors that the instruction sets share, over a register that each of their
// files describes by a type Floats:
//
//     Register                    so many floats, `width`
//     at_once                     how many vectors, 2 or 4, are measured side by side: their sums,
//                                 four each, and four registers of the query have to fit
//     zero(), all(number)         the same number everywhere
//     load(a)                     from floats, or from halves, which are widened
//     load_first(a, count)        the first `count` elements, from 1 to below the width, and zeros.
//                                 Memory behind them is not touched, so a vector may end at the
//                                 edge of a mapping.
//     numbers(bytes)              a number for each byte, as load() of floats
//     numbers_of_block(bytes, i)  those of register `i` where there are enough bytes for four
//     first_numbers(bytes, count) as load_first(), for the last bytes of a code
//     first(register, count)      zeros in place of what is behind the first `count` numbers
//     plus, minus, absolute_difference
//                                 of two registers, number by number
//     plus_product(sum, a, b)     sum + a * b, rounded once
//     sum(register)               of all its numbers
//     Squares                     two sums of squares in double: add(a) takes `width` elements,
//                                 add_first(a, count) fewer, += another's sums; total() is all
//
// Zeros leave a sum alone, so the elements behind the last whole register are measured with zeros
// behind them. What a kernel adds to what, and so the bits of its result, follows from the width
// and the four sums, and not from how many vectors are measured.
//
// Everything here is static, and Floats local to its file, so that no code made for one instruction
// set is visible outside of its object (kernel_table.hpp).
#pragma once

#include "engine/distance/code_kernels.hpp"
#include "engine/distance/cosine_kernels.hpp"
#include "engine/distance/kernel_table.hpp"

namespace dvec::distance {

// What is added up for a pair of elements, and the distance that it makes.
template <typename Set>
struct OneSum {
    using Floats = Set;
    using Register = typename Floats::Register;
    using Sum = Register;

    static Sum zero() { return Floats::zero(); }
    static Sum plus(Sum a, Sum b) { return Floats::plus(a, b); }
};

template <typename Set>
struct SquaredDifference : OneSum<Set> {
    using typename OneSum<Set>::Register;
    static constexpr Metric metric = Metric::l2_squared;

    static Register add(Register sum, Register a, Register b) {
        const Register difference = Set::minus(a, b);
        return Set::plus_product(sum, difference, difference);
    }

    static float distance(float sum) { return sum; }
};

template <typename Set>
struct Product : OneSum<Set> {
    using typename OneSum<Set>::Register;
    static constexpr Metric metric = Metric::inner_product;

    static Register add(Register sum, Register a, Register b) {
        return Set::plus_product(sum, a, b);
    }

    static float distance(float sum) { return -sum; }
};

template <typename Set>
struct AbsoluteDifference : OneSum<Set> {
    using typename OneSum<Set>::Register;
    static constexpr Metric metric = Metric::l1;

    static Register add(Register sum, Register a, Register b) {
        return Set::plus(sum, Set::absolute_difference(a, b));
    }

    static float distance(float sum) { return sum; }
};

// The three sums of a cosine.
template <typename Set>
struct CosineProducts {
    using Floats = Set;
    using Register = typename Floats::Register;
    struct Sum {
        Register dot;
        Register norm_a;
        Register norm_b;
    };

    static Sum zero() { return {Floats::zero(), Floats::zero(), Floats::zero()}; }
    static Sum add(const Sum &sum, Register a, Register b) {
        return {Floats::plus_product(sum.dot, a, b), Floats::plus_product(sum.norm_a, a, a),
                Floats::plus_product(sum.norm_b, b, b)};
    }
    static Sum plus(const Sum &a, const Sum &b) {
        return {Floats::plus(a.dot, b.dot), Floats::plus(a.norm_a, b.norm_a),
                Floats::plus(a.norm_b, b.norm_b)};
    }
};

// A place in a vector, to load registers from.
template <typename Set, typename Scalar>
struct Elements {
    using Floats = Set;
    using Register = typename Floats::Register;
    const Scalar *here;

    explicit Elements(const void *vector) : here(static_cast<const Scalar *>(vector)) {}

    Register load() const { return Floats::load(here); }
    Register load_of_block(size_t i) const { return Floats::load(here + i * Floats::width); }
    Register load_first(size_t count) const { return Floats::load_first(here, count); }

    void operator+=(size_t count) { here += count; }
    Elements operator+(size_t count) const { return Elements(here + count); }
};

// The same in the vector that a code stands for (code_kernels.hpp).
template <typename Set>
struct Code {
    using Floats = Set;
    using Register = typename Floats::Register;
    const unsigned char *here;
    Register low;
    Register step;

    explicit Code(const void *code) : here(code_steps(code)) {
        const CodeHeader header = code_header(code);
        low = Floats::all(header.low);
        step = Floats::all(header.step);
    }

    Register decode(Register steps) const { return Floats::plus_product(low, steps, step); }

    Register load() const { return decode(Floats::numbers(here)); }
    Register load_of_block(size_t i) const { return decode(Floats::numbers_of_block(here, i)); }
    // Bytes that are 0 decode to the least element and not to 0.
    Register load_first(size_t count) const {
        return Floats::first(decode(Floats::first_numbers(here, count)), count);
    }

    void operator+=(size_t count) { here += count; }
    Code operator+(size_t count) const {
        Code moved = *this;
        moved += count;
        return moved;
    }
};

// The sums of one pair of vectors. Four are in flight: a fused multiply-add takes four cycles, and
// two loads a cycle feed one of them. Inlined always, since a compiler that leaves a call keeps the
// sums of all vectors in memory for it. A cosine has three times four, which leaves four of the
// registers of AVX2 for the elements.
template <typename Term>
struct Sums {
    using Sum = typename Term::Sum;
    static constexpr size_t width = Term::Floats::width;
    static constexpr size_t block = 4 * width;

    Sum sum0 = Term::zero();
    Sum sum1 = Term::zero();
    Sum sum2 = Term::zero();
    Sum sum3 = Term::zero();

    template <typename A, typename B>
    [[gnu::always_inline]] void add_block(const A &a, const B &b) {
        sum0 = Term::add(sum0, a.load_of_block(0), b.load_of_block(0));
        sum1 = Term::add(sum1, a.load_of_block(1), b.load_of_block(1));
        sum2 = Term::add(sum2, a.load_of_block(2), b.load_of_block(2));
        sum3 = Term::add(sum3, a.load_of_block(3), b.load_of_block(3));
    }

    // Adds the last `count` elements, fewer than a block.
    template <typename A, typename B>
    [[gnu::always_inline]] void add_rest(A a, B b, size_t count) {
        if (count & (2 * width)) {
            sum0 = Term::add(sum0, a.load(), b.load());
            sum1 = Term::add(sum1, (a + width).load(), (b + width).load());
            a += 2 * width;
            b += 2 * width;
        }
        if (count & width) {
            sum2 = Term::add(sum2, a.load(), b.load());
            a += width;
            b += width;
        }
        if (const size_t last = count % width; last != 0) {
            sum3 = Term::add(sum3, a.load_first(last), b.load_first(last));
        }
    }

    Sum total() const { return Term::plus(Term::plus(sum0, sum1), Term::plus(sum2, sum3)); }

    float distance() const { return Term::distance(Term::Floats::sum(total())); }
};

template <typename Term, typename A, typename B>
[[gnu::always_inline]] static inline Sums<Term> sums_of(A a, B b, size_t dimensions) {
    constexpr size_t block = Sums<Term>::block;
    const size_t rest = dimensions % block;
    const auto *const blocks_end = a.here + (dimensions - rest);
    Sums<Term> sums;
    for (; a.here != blocks_end; a += block, b += block) {
        sums.add_block(a, b);
    }
    if (rest != 0) {
        sums.add_rest(a, b, rest);
    }
    return sums;
}

template <typename Term, typename Query, typename Vector>
static float distance(const void *a, const void *b, size_t dimensions) {
    return sums_of<Term>(Query(a), Vector(b), dimensions).distance();
}

template <typename Floats, typename Scalar>
static CosineParts cosine_parts(const void *a, const void *b, size_t dimensions) {
    using Vector = Elements<Floats, Scalar>;
    const auto total = sums_of<CosineProducts<Floats>>(Vector(a), Vector(b), dimensions).total();
    return {Floats::sum(total.dot), Floats::sum(total.norm_a), Floats::sum(total.norm_b)};
}

// So many vectors beside each other, a power of two, with the sums of each.
template <typename Term, typename Vector, size_t count>
struct Several {
    Several<Term, Vector, count / 2> first;
    Several<Term, Vector, count / 2> second;

    explicit Several(const void *const *vectors) : first(vectors), second(vectors + count / 2) {}

    template <typename Query>
    [[gnu::always_inline]] void add_block(const Query &query, size_t i) {
        first.add_block(query, i);
        second.add_block(query, i);
    }

    template <typename Query>
    [[gnu::always_inline]] void add_rest(const Query &query, size_t i, size_t rest) {
        first.add_rest(query, i, rest);
        second.add_rest(query, i, rest);
    }

    void put_distances(float *distances) const {
        first.put_distances(distances);
        second.put_distances(distances + count / 2);
    }
};

template <typename Term, typename Vector>
struct Several<Term, Vector, 1> {
    Vector vector;
    Sums<Term> sums;

    explicit Several(const void *const *vectors) : vector(vectors[0]) {}

    template <typename Query>
    [[gnu::always_inline]] void add_block(const Query &query, size_t i) {
        sums.add_block(query + i, vector + i);
    }

    template <typename Query>
    [[gnu::always_inline]] void add_rest(const Query &query, size_t i, size_t rest) {
        sums.add_rest(query + i, vector + i, rest);
    }

    void put_distances(float *distances) const { *distances = sums.distance(); }
};

template <typename Term, typename Query, typename Vector>
static void four_distances(const void *query_bytes, const void *const *vectors, size_t dimensions,
                           float *distances) {
    constexpr size_t block = Sums<Term>::block;
    constexpr size_t at_once = Term::Floats::at_once;
    const Query query(query_bytes);
    const size_t rest = dimensions % block;
    const size_t whole = dimensions - rest;
    for (size_t done = 0; done < 4; done += at_once) {
        Several<Term, Vector, at_once> several(vectors + done);
        for (size_t i = 0; i != whole; i += block) {
            several.add_block(query, i);
        }
        if (rest != 0) {
            several.add_rest(query, whole, rest);
        }
        several.put_distances(distances + done);
    }
}

// Four sums are in flight here, too: two in each of Squares.
template <typename Floats, typename Scalar>
static double squared_norm(const void *a_bytes, size_t dimensions) {
    constexpr size_t width = Floats::width;
    const Scalar *a = static_cast<const Scalar *>(a_bytes);
    typename Floats::Squares even;
    typename Floats::Squares odd;
    const Scalar *const pairs_end = a + dimensions / (2 * width) * (2 * width);
    for (; a != pairs_end; a += 2 * width) {
        even.add(a);
        odd.add(a + width);
    }
    if (dimensions & width) {
        even.add(a);
        a += width;
    }
    if (const size_t last = dimensions % width; last != 0) {
        odd.add_first(a, last);
    }
    even += odd;
    return even.total();
}

// The rows of a set's table.

template <typename Scalar, typename Term, typename Vector = Elements<typename Term::Floats, Scalar>>
static constexpr DistanceFunction distance_of =
    distance<Term, Elements<typename Term::Floats, Scalar>, Vector>;

template <typename Scalar, typename Term, typename Vector = Elements<typename Term::Floats, Scalar>>
static constexpr FourDistancesFunction four_distances_of =
    four_distances<Term, Elements<typename Term::Floats, Scalar>, Vector>;

template <typename Term>
static constexpr Kernel float_row(const char *name) {
    return {Element::float32, Term::metric, distance_of<float, Term>,
            four_distances_of<float, Term>, name};
}

// For vectors that may have codes.
template <typename Term>
static constexpr Kernel coded_row(const char *name) {
    using Coded = Code<typename Term::Floats>;
    Kernel row = float_row<Term>(name);
    row.code_distance = distance_of<float, Term, Coded>;
    row.four_code_distances = four_distances_of<float, Term, Coded>;
    return row;
}

template <typename Term>
static constexpr Kernel half_row(const char *name) {
    return {Element::float16, Term::metric, distance_of<Half, Term>, four_distances_of<Half, Term>,
            name};
}

template <typename Floats>
static constexpr Kernel cosine_row_of(const char *name) {
    using Term = Product<Floats>;
    return cosine_row<cosine_parts<Floats, float>>(
        name, {distance_of<float, Term>, four_distances_of<float, Term>},
        {distance_of<float, Term, Code<Floats>>, four_distances_of<float, Term, Code<Floats>>});
}

template <typename Floats>
static constexpr Kernel half_cosine_row_of(const char *name) {
    using Term = Product<Floats>;
    return half_cosine_row<cosine_parts<Floats, Half>>(
        name, {distance_of<Half, Term>, four_distances_of<Half, Term>});
}

// What the operators are made of.
template <typename Floats, typename Scalar>
static constexpr DenseKernels dense_kernels = {
    distance_of<Scalar, SquaredDifference<Floats>>,
    distance_of<Scalar, Product<Floats>>,
    distance_of<Scalar, AbsoluteDifference<Floats>>,
    cosine_parts<Floats, Scalar>,
    squared_norm<Floats, Scalar>,
};

}  // namespace dvec::distance
