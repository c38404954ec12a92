#include "engine/graph/compact_encoder.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace dvec::graph {

namespace {

using distance::CompactHeader;
using distance::Half;

float number(float element) { return element; }
float number(Half element) { return distance::widen(element); }

unsigned greatest_step(unsigned bits) { return (1u << bits) - 1; }

// Of the grids that reach from the least to the greatest element of a turned vector, and of those
// that leave out some, the best is taken: with few steps a finer grid is worth more than the few
// elements behind its ends.
constexpr float narrow_shares[] = {1, 0.85f, 0.7f, 0.6f, 0.5f};

}  // namespace

CompactEncoder::CompactEncoder(std::size_t dimensions)
    : dimensions_(dimensions),
      rotation_(dimensions),
      turned_(rotation_.width()),
      steps_(rotation_.width()) {}

void CompactEncoder::encode(const float *vector, distance::Metric metric, unsigned bits,
                            void *out) {
    encode_elements(vector, metric, bits, out);
}
void CompactEncoder::encode(const Half *vector, distance::Metric metric, unsigned bits, void *out) {
    encode_elements(vector, metric, bits, out);
}

template <class Scalar>
void CompactEncoder::encode_elements(const Scalar *vector, distance::Metric metric, unsigned bits,
                                     void *out) {
    CompactHeader header{};
    const double scale = take_rest(vector, header);
    if (header.square == 0) {
        std::memset(out, 0, distance::compact_bytes(bits, dimensions_));
        return;
    }
    Grid grid;
    if (scale > 0) {
        const bool turned = metric != distance::Metric::l1;
        if (turned)
            rotation_.turn(turned_.data());
        grid = choose_grid(turned ? Wanted::products : Wanted::elements, bits);
    } else {
        std::fill(steps_.begin(), steps_.end(), 0);
    }
    unsigned sum = 0;
    for (const unsigned char step : steps_)
        sum += step;
    header.step = grid.step * scale;
    header.error = static_cast<float>(grid.error * scale);
    header.sum = sum;
    std::memcpy(out, &header, sizeof(header));
    write_steps(bits, static_cast<unsigned char *>(out) + sizeof(header));
}

// The elements less their mean, divided by the greatest of them so that no square is beyond the
// limits of floats. Returns what they were divided by, 0 where all are 0.
template <class Scalar>
double CompactEncoder::take_rest(const Scalar *vector, CompactHeader &header) {
    double sum = 0, square = 0;
    for (std::size_t i = 0; i < dimensions_; ++i) {
        const double element = number(vector[i]);
        sum += element;
        square += element * element;
    }
    header.square = square;
    header.mean = sum / static_cast<double>(dimensions_);
    double greatest = 0;
    for (std::size_t i = 0; i < dimensions_; ++i)
        greatest = std::max(greatest, std::fabs(double{number(vector[i])} - header.mean));
    std::fill(turned_.begin(), turned_.end(), 0.0f);
    if (greatest > 0)
        for (std::size_t i = 0; i < dimensions_; ++i)
            turned_[i] = static_cast<float>((double{number(vector[i])} - header.mean) / greatest);
    return greatest;
}

// Leaves the steps in steps_.
CompactEncoder::Grid CompactEncoder::choose_grid(Wanted wanted, unsigned bits) {
    float greatest = 0;
    for (const float element : turned_)
        greatest = std::max(greatest, std::fabs(element));
    if (bits != 4) {
        round_to(2 * greatest / static_cast<float>(greatest_step(bits)), bits);
        return grid_of_steps(wanted, bits);
    }
    float best_step = 0;
    double least_error = 0;
    for (const float share : narrow_shares) {
        const float step = 2 * share * greatest / static_cast<float>(greatest_step(bits));
        round_to(step, bits);
        const Grid grid = grid_of_steps(wanted, bits);
        if (best_step == 0 || grid.error < least_error) {
            best_step = step;
            least_error = grid.error;
        }
    }
    round_to(best_step, bits);
    return grid_of_steps(wanted, bits);
}

void CompactEncoder::round_to(float step, unsigned bits) {
    const auto last = static_cast<float>(greatest_step(bits));
    const float middle = last / 2;
    const float steps_of_one = 1 / step;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        const float at = turned_[i] * steps_of_one + middle;
        steps_[i] = static_cast<unsigned char>(std::clamp(at, 0.0f, last) + 0.5f);
    }
}

// With the code k and the vector v, the step is multiplied so that (v - k) is perpendicular to v:
// k.v = v.v. Then |v - k|^2 = k.k - v.v. Or so that it is perpendicular to k, which makes it
// shortest: k.v = k.k, and |v - k|^2 = v.v - k.v.
CompactEncoder::Grid CompactEncoder::grid_of_steps(Wanted wanted, unsigned bits) const {
    const double middle = greatest_step(bits) / 2.0;
    double product = 0, of_code = 0, of_vector = 0;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        const double code = steps_[i] - middle;
        const double element = turned_[i];
        product += code * element;
        of_code += code * code;
        of_vector += element * element;
    }
    if (!(product > 0))
        return {};
    if (wanted == Wanted::elements) {
        const double step = product / of_code;
        return {step, std::sqrt(std::max(0.0, of_vector - product * step))};
    }
    const double step = of_vector / product;
    return {step, std::sqrt(std::max(0.0, of_code * step * step - of_vector))};
}

void CompactEncoder::write_steps(unsigned bits, unsigned char *out) const {
    if (bits == 8) {
        std::memcpy(out, steps_.data(), steps_.size());
        return;
    }
    std::memset(out, 0, steps_.size() * bits / 8);
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        if (bits == 4)
            out[i / 64 * 32 + i % 32] |=
                static_cast<unsigned char>(i % 64 < 32 ? steps_[i] : steps_[i] * 16);
        else
            out[i / 8] |= static_cast<unsigned char>(steps_[i] << i % 8);
    }
}

}  // namespace dvec::graph
