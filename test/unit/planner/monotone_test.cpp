// Chains of arithmetic are drawn and computed forward as the server does; what distances_within()
// and slope_of() say of them must hold for every value that comes out.
#include "postgres/planner/monotone.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <random>
#include <sstream>
#include <string>

namespace dvec::postgres {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr int kinds = static_cast<int>(StepKind::round_to_digits) + 1;

Operand known(double value) { return {Operand::State::known, value}; }

Chain chain_of(Interval distances, std::initializer_list<Step> steps) {
    Chain chain{distances, 0, {}};
    for (const Step &step : steps)
        chain.steps[chain.length++] = step;
    return chain;
}

double with_digits(double x, int digits) {
    if (!std::isfinite(x))
        return x;
    char text[64];
    std::snprintf(text, sizeof text, "%.*g", digits, x);
    return std::strtod(text, nullptr);
}

double rounded_to(double x, double digits) {
    const double scale = std::pow(10, digits);
    const double result = std::round(x * scale) / scale;
    return std::isfinite(result) ? result : x;
}

double step_forward(const Step &step, double x) {
    const double c = step.operand.value;
    switch (step.kind) {
        case StepKind::negate:
            return -x;
        case StepKind::add:
            return x + c;
        case StepKind::subtract:
            return x - c;
        case StepKind::subtract_from:
            return c - x;
        case StepKind::multiply:
            return x * c;
        case StepKind::divide:
            return x / c;
        case StepKind::divide_into:
            return c / x;
        case StepKind::square:
            return x * x;
        case StepKind::root:
            return std::sqrt(x);
        case StepKind::exponential:
            return std::exp(x);
        case StepKind::round_to_float4:
            // As float4, and as the numeric made of one.
            return with_digits(static_cast<float>(x), 6);
        case StepKind::round_to_numeric:
            return with_digits(x, 15);
        case StepKind::round_quotient:
            return x;
        case StepKind::round_to_integer:
            return std::floor(x);
        case StepKind::round_to_digits:
            return rounded_to(x, c);
    }
    return x;
}

// The server raises an error where a finite number becomes infinite or a number vanishes.
bool is_error(const Step &step, double before, double after) {
    const bool scales = step.kind == StepKind::multiply || step.kind == StepKind::divide ||
                        step.kind == StepKind::divide_into || step.kind == StepKind::square ||
                        step.kind == StepKind::exponential;
    return (std::isfinite(before) && !std::isfinite(after)) ||
           (scales && after == 0 && before != 0);
}

// Nothing where the server would raise an error.
std::optional<double> forward(const Chain &chain, double x) {
    for (int i = 0; i < chain.length; ++i) {
        const double after = step_forward(chain.steps[i], x);
        if (is_error(chain.steps[i], x, after))
            return std::nullopt;
        x = after;
    }
    return x;
}

std::string text(const Chain &chain) {
    std::ostringstream out;
    out.precision(17);
    for (int i = 0; i < chain.length; ++i)
        out << " " << static_cast<int>(chain.steps[i].kind) << "(" << chain.steps[i].operand.value
            << ")";
    return out.str();
}

class Draw {
  public:
    explicit Draw(std::uint64_t seed) : random_(seed) {}

    std::size_t below(std::size_t n) { return random_() % n; }
    double unit() { return std::uniform_real_distribution<double>()(random_); }

    double constant() {
        constexpr double nan = std::numeric_limits<double>::quiet_NaN();
        constexpr double constants[] = {1,    2,      0.5,     -1, -2,       3,   100, -0.3, 1e-3,
                                        1e10, 1e-300, -1e-300, 0,  infinity, nan, 0.1, 7,    1e300};
        return constants[below(std::size(constants))];
    }

    Chain chain() {
        constexpr Interval ranges[] = {{0, 2}, {0, infinity}, all_distances};
        Chain chain{ranges[below(3)], static_cast<int>(below(5)), {}};
        for (int i = 0; i < chain.length; ++i) {
            Step &step = chain.steps[i];
            step.kind = static_cast<StepKind>(below(kinds));
            step.operand =
                known(step.kind == StepKind::round_to_digits ? static_cast<double>(below(8)) - 1
                                                             : constant());
        }
        return chain;
    }

    double distance(Interval range) {
        if (std::isfinite(range.high))
            return range.low + unit() * (range.high - range.low);
        double result = std::pow(10, unit() * 20 - 10);
        switch (below(6)) {
            case 0:
                result = 0;
                break;
            case 1:
                result = std::pow(10, unit() * 600 - 300);
                break;
            case 2:
                result = std::rint(unit() * 20);
                break;
            default:
                break;
        }
        return std::isfinite(range.low) || below(2) == 0 ? result : -result;
    }

    // Often next to the other, where rounding decides.
    double beside(double distance, Interval range) {
        return below(4) == 0 ? std::nextafter(distance, below(2) == 0 ? range.low : range.high)
                             : this->distance(range);
    }

  private:
    std::mt19937_64 random_;
};

TEST(Monotone, NoValueLiesOutsideOfWhatItsBoundAllows) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    Draw draw(seed);
    int bounded = 0;
    for (int i = 0; i < 500000; ++i) {
        const Chain chain = draw.chain();
        const double one = draw.distance(chain.distances);
        const double other = draw.beside(one, chain.distances);
        const auto bound = forward(chain, one);
        const auto value = forward(chain, other);
        if (!bound || !value || std::isnan(*bound) || std::isnan(*value))
            continue;
        const Side side = draw.below(2) == 0 ? Side::at_most : Side::at_least;
        const Interval within = distances_within(chain, side, *bound);
        bounded += std::isfinite(within.low) || std::isfinite(within.high) ? 1 : 0;
        const bool qualifies = side == Side::at_most ? *value <= *bound : *value >= *bound;
        ASSERT_TRUE(!qualifies || (within.low <= other && other <= within.high))
            << other << " gives " << *value << ", bound " << *bound << " of " << one << " allows "
            << within.low << " to " << within.high << text(chain);
    }
    EXPECT_GT(bounded, 50000);
}

TEST(Monotone, ValuesGoWithTheSlope) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    Draw draw(seed);
    int sloped = 0;
    for (int i = 0; i < 500000; ++i) {
        const Chain chain = draw.chain();
        const Slope slope = slope_of(chain);
        double near = draw.distance(chain.distances);
        double far = draw.beside(near, chain.distances);
        if (near > far)
            std::swap(near, far);
        const auto of_near = forward(chain, near);
        const auto of_far = forward(chain, far);
        if (slope == Slope::unknown || !of_near || !of_far)
            continue;
        ++sloped;
        ASSERT_FALSE(slope == Slope::rising ? *of_near > *of_far : *of_near < *of_far)
            << near << " gives " << *of_near << ", " << far << " gives " << *of_far << text(chain);
    }
    EXPECT_GT(sloped, 50000);
}

// What a float4 cannot hold becomes zero, and what is taken from it has another sign than before.
TEST(Monotone, RoundingMayReachZero) {
    const Step rounds{StepKind::round_to_float4, known(0)};
    const auto chain = chain_of({0, infinity}, {{StepKind::add, known(1e-300)},
                                                rounds,
                                                {StepKind::subtract, known(1e-300)},
                                                {StepKind::divide_into, known(1e-300)}});
    EXPECT_EQ(forward(chain, 0), -1);
    EXPECT_GT(forward(chain, 3e6), 0);
    EXPECT_EQ(slope_of(chain), Slope::unknown);
    const Interval within = distances_within(chain, Side::at_most, -0.5);
    EXPECT_TRUE(within.low <= 0 && 0 <= within.high);
}

// Digits behind the point of a number that has none are rounded by a share of it.
TEST(Monotone, RoundingOfLargeNumbersMayPassThem) {
    const auto chain = chain_of({0, infinity}, {{StepKind::subtract_from, known(1e300)},
                                                {StepKind::round_to_digits, known(5)},
                                                {StepKind::subtract_from, known(1e300)},
                                                {StepKind::divide_into, known(-2)}});
    const auto value = forward(chain, 0);
    ASSERT_TRUE(value);
    EXPECT_GT(*value, 0);
    const Interval within = distances_within(chain, Side::at_least, *value);
    EXPECT_TRUE(within.low <= 0 && 0 <= within.high);
}

TEST(Monotone, WithoutAStepABoundIsExact) {
    const Interval within = distances_within(chain_of(all_distances, {}), Side::at_most, 0.3);
    EXPECT_EQ(within.low, -infinity);
    EXPECT_EQ(within.high, 0.3);
    EXPECT_EQ(distances_within(chain_of(all_distances, {}), Side::at_least, 0.3).low, 0.3);
}

TEST(Monotone, ABoundIsClose) {
    const Chain similarity = chain_of({0, 2}, {{StepKind::subtract_from, known(1)}});
    const double high = distances_within(similarity, Side::at_least, 0.8).high;
    EXPECT_GE(high, 0.2);
    EXPECT_LT(high, 0.2 + 1e-11);
    const Chain score =
        chain_of({0, infinity}, {{StepKind::add, known(1)}, {StepKind::divide_into, known(1)}});
    EXPECT_NEAR(distances_within(score, Side::at_least, 0.25).high, 3, 1e-10);
    EXPECT_NEAR(distances_within(score, Side::at_most, 0.25).low, 3, 1e-10);
}

TEST(Monotone, WhatNoDistanceCanGiveIsEmpty) {
    const Chain inverse = chain_of({0, infinity}, {{StepKind::divide_into, known(1)}});
    const Interval none = distances_within(inverse, Side::at_most, -1);
    EXPECT_EQ(none.high, -infinity);
    EXPECT_EQ(distances_within(inverse, Side::at_least, -1).high, infinity);
    Chain null = inverse;
    null.steps[0].operand = {Operand::State::null, 0};
    const Interval empty = distances_within(null, Side::at_least, 0.5);
    EXPECT_GT(empty.low, empty.high);
}

TEST(Monotone, AFactorOfUnknownSignSaysNothing) {
    Chain chain = chain_of({0, infinity}, {{StepKind::multiply, known(2)}});
    EXPECT_EQ(slope_of(chain), Slope::rising);
    chain.steps[0].operand = {Operand::State::unknown, 0};
    EXPECT_EQ(slope_of(chain), Slope::unknown);
    EXPECT_EQ(distances_within(chain, Side::at_most, 1).high, infinity);
    chain.steps[0] = {StepKind::add, {Operand::State::unknown, 0}};
    EXPECT_EQ(slope_of(chain), Slope::rising);
}

TEST(Monotone, AQuotientFallsOnOneSideOfZeroOnly) {
    const Step inverse{StepKind::divide_into, known(1)};
    EXPECT_EQ(slope_of(chain_of({0, infinity}, {{StepKind::add, known(1)}, inverse})),
              Slope::falling);
    EXPECT_EQ(slope_of(chain_of({0, infinity}, {{StepKind::subtract, known(1)}, inverse})),
              Slope::unknown);
    EXPECT_EQ(slope_of(chain_of(all_distances, {{StepKind::add, known(1)}, inverse})),
              Slope::unknown);
    EXPECT_EQ(slope_of(chain_of({0, 2}, {{StepKind::subtract, known(2)}, inverse})),
              Slope::falling);
}

}  // namespace
}  // namespace dvec::postgres
