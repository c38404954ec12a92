// A first look at a node: the Euclidean distance over the first part of its code, which tells of
// most nodes that the whole distance will be too large, for a third of the memory that a search has
// to wait for.
//
// What share of a squared distance lies in that part depends on the data, and differs from node to
// node. So a search learns it from nodes that it measures whole, whatever their first look has said
// (GraphWalk::look_first): its mean, how far it strays, and the largest there was. A node is
// expected to be no nearer than if its share were that largest, or larger than the mean by three
// standard deviations. This is no bound: who goes by it defers a node and does not give it up.
//
// Distances by cosine and by inner product follow from the Euclidean one and the two lengths:
//
//     |q - x|^2 = |q|^2 + |x|^2 - 2 q.x
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "engine/distance/code.hpp"
#include "engine/distance/kernel.hpp"
#include "engine/graph/format.hpp"
#include "engine/graph/prefetch.hpp"

namespace dvec::graph {

class FirstLook {
  public:
    // What a look at a node has seen.
    struct Seen {
        float part;  // of the squared Euclidean distance
        distance::CodeHeader code;
    };

    // For a search by `kernel` from `query`, among slots of this layout.
    void begin(const Layout &layout, const distance::Kernel &kernel, std::size_t dimensions,
               const void *query) {
        *this = FirstLook();
        const std::size_t all = lines_ahead(layout.code_offset, layout.code_bytes);
        if (!layout.coded() || all < fewest_lines)
            return;
        lines_ = (all + 2) / 3;
        const std::size_t first_byte =
            layout.code_offset % cache_line + sizeof(distance::CodeHeader);
        dimensions_ = (lines_ * cache_line - first_byte) / step * step;
        smallest_share_ = static_cast<double>(dimensions_) / static_cast<double>(dimensions) / 2;
        metric_ = kernel.metric;
        query_ = query;
        using distance::Metric;
        part_ = distance::find_kernel(kernel.element, Metric::l2_squared)->code_distance;
        const auto product = distance::find_kernel(kernel.element, Metric::inner_product)->distance;
        square_ = -product(query, query, dimensions);
        length_ = std::sqrt(square_);
    }

    // Where codes are short, all of a code is read as fast as a part of it.
    bool useful() const noexcept { return dimensions_ != 0; }
    // How many cache lines of a code are looked at.
    std::size_t lines() const noexcept { return lines_; }

    // Whether there are too few samples to tell anything yet.
    bool learning() const noexcept { return samples_ < fewest_samples; }

    Seen look(const void *code) const noexcept {
        return {part_(query_, code, dimensions_), distance::code_header(code)};
    }

    // A distance that the node's is hardly ever below. Minus infinity, or not a number, where
    // nothing can be told.
    float least(const Seen &seen) const noexcept {
        const distance::CodeHeader &code = seen.code;
        constexpr float nothing = -std::numeric_limits<float>::infinity();
        if (learning())
            return nothing;
        const float euclidean = seen.part / largest_share_;
        // The part is that of the code. Where the vector may be far from its code in comparison, or
        // the code is of no use, it says nothing of the vector.
        constexpr float times = 8;
        if (!(euclidean > times * times * code.error * code.error))
            return nothing;
        if (metric_ == distance::Metric::l2_squared)
            return euclidean;
        if (!(code.inverse_length > 0))
            return nothing;
        const float length = 1 / code.inverse_length;
        if (metric_ == distance::Metric::inner_product)
            return (euclidean - square_ - length * length) / 2;
        const float apart = length_ - length;
        return (euclidean - apart * apart) / (2 * length_ * length);
    }

    // Learns from a node that was chosen without regard to its first look and has this distance.
    void learn(const Seen &seen, float distance) noexcept {
        const double share = seen.part / euclidean(distance, seen.code);
        if (!(share >= 0 && share <= 1))
            return;
        ++samples_;
        const double off = share - mean_;
        mean_ += off / samples_;
        squares_ += off * (share - mean_);
        largest_seen_ = std::max(largest_seen_, share);
        if (!learning()) {
            const double usual = mean_ + deviations * std::sqrt(squares_ / (samples_ - 1));
            const double largest = std::max(usual, largest_seen_);
            largest_share_ = static_cast<float>(std::clamp(largest, smallest_share_, 1.0));
        }
    }

  private:
    static constexpr std::size_t fewest_lines = 10;
    static constexpr std::size_t step = 32;  // kernels take so many elements at a time
    static constexpr int fewest_samples = 32;
    static constexpr double deviations = 3;

    double euclidean(float distance, const distance::CodeHeader &code) const noexcept {
        if (metric_ == distance::Metric::l2_squared)
            return distance;
        const double length = 1 / static_cast<double>(code.inverse_length);
        if (metric_ == distance::Metric::inner_product)
            return square_ + length * length + 2.0 * distance;
        return (length_ - length) * (length_ - length) + 2.0 * length_ * length * distance;
    }

    distance::Metric metric_ = distance::Metric::l2_squared;
    std::size_t lines_ = 0;
    std::size_t dimensions_ = 0;
    const void *query_ = nullptr;
    distance::DistanceFunction part_ = nullptr;
    float square_ = 0;  // of the query's length
    float length_ = 0;
    float largest_share_ = 1;
    // Where the part has been nearly nothing so far, a node may be near all the same that has more.
    double smallest_share_ = 0;
    int samples_ = 0;
    double mean_ = 0;
    double squares_ = 0;  // the sum of the squared differences from the mean
    double largest_seen_ = 0;
};

}  // namespace dvec::graph
