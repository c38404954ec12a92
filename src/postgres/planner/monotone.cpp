#include "postgres/planner/monotone.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dvec::postgres {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// A double is rounded by 1e-16 of its value, and a numeric made from one keeps 15 digits. A bound
// may lie a little too far out, which costs a few rows and loses none, so this is generous.
constexpr double rounding = 1e-12;
// Of a float4 the server's numeric keeps 6 digits.
constexpr double float4_rounding = 1e-5;
// What is smaller becomes zero as a float4, or a denormal number.
constexpr double float4_smallest = 1e-44;
// Below this a rounding error may be denormal, and then it is no longer proportional to the value.
constexpr double smallest_exact = 1e-290;

bool is_known(const Step &step) {
    return !has_operand(step.kind) || step.operand.state == Operand::State::known;
}

bool has_sign(double factor) { return std::isfinite(factor) && factor != 0; }

Slope slope_by(double sign) { return sign > 0 ? Slope::rising : Slope::falling; }

Slope opposite(Slope slope) {
    switch (slope) {
        case Slope::rising:
            return Slope::falling;
        case Slope::falling:
            return Slope::rising;
        case Slope::unknown:
            break;
    }
    return Slope::unknown;
}

Side opposite(Side side) { return side == Side::at_most ? Side::at_least : Side::at_most; }

// Of one step, for values in `from`.
Slope slope_of_step(const Step &step, Interval from) {
    const double c = step.operand.value;
    switch (step.kind) {
        case StepKind::negate:
        case StepKind::subtract_from:
            return Slope::falling;
        case StepKind::multiply:
        case StepKind::divide:
            return is_known(step) && has_sign(c) ? slope_by(c) : Slope::unknown;
        case StepKind::divide_into:
            if (!is_known(step) || !has_sign(c) || (from.low < 0 && from.high > 0))
                return Slope::unknown;
            return opposite(slope_by(c));
        case StepKind::square:
            if (from.low < 0 && from.high > 0)
                return Slope::unknown;
            return from.low >= 0 ? Slope::rising : Slope::falling;
        case StepKind::round_quotient:
        case StepKind::exponential:
            // Rounding may swap two values that are closer together than the rounding error. That
            // is acceptable for a bound but not for an order.
            return Slope::unknown;
        default:
            return Slope::rising;
    }
}

Interval ordered(double a, double b) {
    if (std::isnan(a) || std::isnan(b))
        return all_distances;
    return {std::min(a, b), std::max(a, b)};
}

Interval quotients(double c, Interval from) {
    const double far_out = std::copysign(infinity, c);
    if (from.low >= 0)
        return ordered(from.low == 0 ? far_out : c / from.low, c / from.high);
    if (from.high <= 0)
        return ordered(c / from.low, from.high == 0 ? -far_out : c / from.high);
    return all_distances;
}

double slack_of_digits(const Step &step) { return std::pow(10.0, -step.operand.value); }

// Rounding never changes the sign of a value. `slack` is what it may add or take away, and its
// share of the value.
Interval rounded_range(Interval from, double slack, double share = rounding) {
    const auto at_most = [=](double end) {
        return std::isfinite(end) ? slack + share * std::fabs(end) : slack;
    };
    const double low = from.low - at_most(from.low);
    const double high = from.high + at_most(from.high);
    return {from.low >= 0 ? std::max(low, 0.0) : low, from.high <= 0 ? std::min(high, 0.0) : high};
}

// The range of the step's results for values in `from`.
Interval range_after(const Step &step, Interval from) {
    if (!is_known(step))
        return all_distances;
    const double c = step.operand.value;
    switch (step.kind) {
        case StepKind::negate:
            return {-from.high, -from.low};
        case StepKind::add:
            return ordered(from.low + c, from.high + c);
        case StepKind::subtract:
            return ordered(from.low - c, from.high - c);
        case StepKind::subtract_from:
            return ordered(c - from.low, c - from.high);
        case StepKind::multiply:
            return has_sign(c) ? ordered(from.low * c, from.high * c) : all_distances;
        case StepKind::divide:
            return has_sign(c) ? ordered(from.low / c, from.high / c) : all_distances;
        case StepKind::divide_into:
            return quotients(c, from);
        case StepKind::square:
            if (from.low < 0 && from.high > 0)
                return {0, infinity};
            return ordered(from.low * from.low, from.high * from.high);
        case StepKind::root:
            return {std::sqrt(std::max(from.low, 0.0)), std::sqrt(std::max(from.high, 0.0))};
        case StepKind::exponential:
            return {std::exp(from.low), std::exp(from.high)};
        case StepKind::round_to_float4:
            return rounded_range(from, float4_smallest, float4_rounding);
        case StepKind::round_to_numeric:
        case StepKind::round_quotient:
            return rounded_range(from, std::numeric_limits<double>::min());
        case StepKind::round_to_integer:
            return rounded_range(from, 1);
        case StepKind::round_to_digits:
            return rounded_range(from, slack_of_digits(step));
        default:
            return from;
    }
}

// The values on `side` of `at`, which is included.
struct Bound {
    double at;
    Side side;
};

constexpr Bound everything{infinity, Side::at_most};
constexpr Bound nothing{-infinity, Side::at_most};

Bound widened(Bound bound, double slack) {
    if (std::isfinite(bound.at))
        bound.at += bound.side == Side::at_most ? slack : -slack;
    return bound;
}

Bound mirrored(Bound bound) { return {-bound.at, opposite(bound.side)}; }

// Solves x + c and similar steps. Their rounding error is proportional to the greatest of the three
// numbers.
Bound sum_solved(double x, double sum, double c, Side side) {
    return widened({x, side}, rounding * (std::fabs(x) + std::fabs(sum) + std::fabs(c)));
}

// `quotient` and `factor` as in x = quotient / factor, where the step has multiplied by factor.
Bound product_solved(double x, double factor, Side side) {
    if (factor < 0)
        side = opposite(side);
    const double denormal = 16 * std::numeric_limits<double>::denorm_min() / std::fabs(factor);
    return widened({x, side}, rounding * std::fabs(x) + denormal);
}

// c / x on one side of the bound, for x >= 0 and c > 0.
Bound positive_quotient_solved(double c, Bound bound) {
    if (bound.at <= 0)
        return bound.side == Side::at_most ? nothing : everything;
    if (bound.at < smallest_exact)
        return everything;
    const double x = c / bound.at;
    return widened({x, opposite(bound.side)}, rounding * x);
}

Bound quotient_solved(double c, Bound bound, Interval from) {
    if (from.low < 0)  // c / x is -c / -x
        return mirrored(quotient_solved(-c, bound, {-from.high, -from.low}));
    if (c < 0)  // and -(-c / x)
        return positive_quotient_solved(-c, mirrored(bound));
    return positive_quotient_solved(c, bound);
}

Bound square_solved(Bound bound, Interval from) {
    if (from.low < 0)
        return mirrored(square_solved(bound, {-from.high, -from.low}));
    if (bound.at < 0)
        return bound.side == Side::at_most ? nothing : everything;
    const double x = std::sqrt(bound.at);
    // The square of a tiny number may be denormal, so an absolute error is added.
    return widened({x, bound.side}, rounding * x + 1e-160);
}

Bound root_solved(Bound bound) {
    if (bound.at < 0)
        return bound.side == Side::at_most ? nothing : everything;
    const double x = bound.at * bound.at;
    return widened({x, bound.side}, rounding * x + std::numeric_limits<double>::min());
}

Bound exponential_solved(Bound bound) {
    if (bound.at <= 0)
        return bound.side == Side::at_most ? nothing : everything;
    const double x = std::log(bound.at);
    return widened({x, bound.side}, bound.at < smallest_exact ? 2 : rounding * (1 + std::fabs(x)));
}

// Given a bound on the result of a step, returns the bound on its argument. The step has a known
// slope or is a rounding.
Bound solved(const Step &step, Bound bound, Interval from) {
    const double c = step.operand.value;
    const double b = bound.at;
    switch (step.kind) {
        case StepKind::negate:
            return mirrored(bound);
        case StepKind::add:
            return sum_solved(b - c, b, c, bound.side);
        case StepKind::subtract:
            return sum_solved(b + c, b, c, bound.side);
        case StepKind::subtract_from:
            return sum_solved(c - b, b, c, opposite(bound.side));
        case StepKind::multiply:
            return product_solved(b / c, c, bound.side);
        case StepKind::divide:
            return product_solved(b * c, 1 / c, bound.side);
        case StepKind::divide_into:
            return quotient_solved(c, bound, from);
        case StepKind::square:
            return square_solved(bound, from);
        case StepKind::root:
            return root_solved(bound);
        case StepKind::exponential:
            return exponential_solved(bound);
        case StepKind::round_to_float4:
            return widened(bound, float4_rounding * std::fabs(b) + float4_smallest);
        case StepKind::round_to_numeric:
        case StepKind::round_quotient:
            return widened(bound, rounding * std::fabs(b) + std::numeric_limits<double>::min());
        case StepKind::round_to_integer:
            return widened(bound, 1 + rounding * std::fabs(b));
        case StepKind::round_to_digits:
            return widened(bound, slack_of_digits(step) + rounding * std::fabs(b));
    }
    return everything;
}

// Whether a bound on the result of a step implies a bound on its argument.
bool can_be_solved(const Step &step, Interval from) {
    return is_known(step) &&
           (step.kind == StepKind::round_quotient || step.kind == StepKind::exponential ||
            slope_of_step(step, from) != Slope::unknown);
}

bool is_null(const Chain &chain) {
    return std::any_of(chain.steps, chain.steps + chain.length, [](const Step &step) {
        return has_operand(step.kind) && step.operand.state == Operand::State::null;
    });
}

void ranges_of(const Chain &chain, Interval *before) {
    Interval range = chain.distances;
    for (int i = 0; i < chain.length; ++i) {
        before[i] = range;
        range = range_after(chain.steps[i], range);
    }
}

}  // namespace

Slope slope_of(const Chain &chain) {
    Interval before[Chain::most_steps];
    ranges_of(chain, before);
    Slope slope = Slope::rising;
    for (int i = 0; i < chain.length; ++i) {
        switch (slope_of_step(chain.steps[i], before[i])) {
            case Slope::rising:
                break;
            case Slope::falling:
                slope = opposite(slope);
                break;
            case Slope::unknown:
                return Slope::unknown;
        }
    }
    return slope;
}

Interval distances_within(const Chain &chain, Side side, double bound) {
    if (is_null(chain))
        return no_distances;
    Interval before[Chain::most_steps];
    ranges_of(chain, before);
    Bound left{bound, side};
    for (int i = chain.length - 1; i >= 0; --i) {
        if (!can_be_solved(chain.steps[i], before[i]))
            return all_distances;
        left = solved(chain.steps[i], left, before[i]);
        if (std::isnan(left.at))
            return all_distances;
    }
    if (std::isnan(left.at))
        return all_distances;
    return left.side == Side::at_most ? Interval{-infinity, left.at} : Interval{left.at, infinity};
}

}  // namespace dvec::postgres
