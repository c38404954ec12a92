// Arithmetic that queries apply to a distance: `1 - d`, `round((d * 100)::numeric, 1)`, `1 / (1 +
// d)`. A chain of steps leads from the distance to the value that a query orders by or compares;
// this file tells whether such a value rises or falls as the distance grows, and which distances
// can give a value on one side of a bound. It is pure arithmetic and raises no errors.
#pragma once

#include <cstdint>

namespace dvec::postgres {

// Values of every type are taken as double here. Where a type rounds (float4, numeric, integers)
// the rounding is a step of its own, which widens what comes out of it. The numbers stand in plans,
// never on disk.
enum class StepKind : std::int32_t {
    negate,            // -x
    add,               // x + c
    subtract,          // x - c
    subtract_from,     // c - x
    multiply,          // x * c
    divide,            // x / c
    divide_into,       // c / x
    square,            // x ^ 2
    root,              // sqrt(x)
    exponential,       // exp(x)
    round_to_float4,   // x::float4
    round_to_numeric,  // x::numeric, of which float8 keeps 15 digits
    round_quotient,    // a quotient of numerics: its scale, and so its rounding, varies
    round_to_integer,  // to a whole number, in whatever direction
    round_to_digits,   // to c digits behind the point, in whatever direction
};

constexpr bool has_operand(StepKind kind) {
    switch (kind) {
        case StepKind::add:
        case StepKind::subtract:
        case StepKind::subtract_from:
        case StepKind::multiply:
        case StepKind::divide:
        case StepKind::divide_into:
        case StepKind::round_to_digits:
            return true;
        default:
            return false;
    }
}

struct Operand {
    enum class State : std::uint8_t { known, unknown, null } state;
    double value;
};

struct Step {
    StepKind kind;
    Operand operand;  // c, where the kind has one
};

struct Interval {
    double low;
    double high;
};

// Steps from the distance outward; `distances` holds every distance there can be but NaN.
struct Chain {
    static constexpr int most_steps = 16;
    Interval distances;
    int length;
    Step steps[most_steps];
};

// Whether the value grows with the distance. Values may stay equal while the distance grows.
enum class Slope : std::uint8_t { rising, falling, unknown };
Slope slope_of(const Chain &chain);

// On which side of a bound the value shall be, the bound included.
enum class Side : std::uint8_t { at_most, at_least };

// The range of distances, NaN excepted, whose value can be on that side of the bound. It is wider
// than the exact range by what the steps may round, unbounded where the slope is unknown, and exact
// for a chain without steps. It is empty (low > high) when no distance gives such a value, and for
// a chain with a null operand.
Interval distances_within(const Chain &chain, Side side, double bound);

inline constexpr Interval all_distances{-__builtin_inf(), __builtin_inf()};
inline constexpr Interval no_distances{__builtin_inf(), -__builtin_inf()};

}  // namespace dvec::postgres
