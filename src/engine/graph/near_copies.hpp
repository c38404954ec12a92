// Near copies: vectors so nearly equal that for any other vector they are one. They are copies with
// the noise of another processor, another rounding or another normalisation. This tells which
// vectors are near copies of a node, and how near to a query such a copy can be at most.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "engine/distance/compact.hpp"
#include "engine/distance/kernel.hpp"
#include "engine/distance/sparse.hpp"

namespace dvec::graph {

// All distances here are how far vectors are *apart*: a distance for which the triangle inequality
// holds. It is the Euclidean distance for l2_squared and inner_product, the chord between
// directions for cosine, and the metric itself for the others.
class NearCopies {
  public:
    // For vectors of `vector_bytes`.
    NearCopies(const distance::Kernel &kernel, std::size_t dimensions, std::size_t vector_bytes)
        : kernel_(kernel), dimensions_(dimensions) {
        if (kernel.metric == Metric::l1)
            zeros_.resize(vector_bytes);
        if (kernel.metric == Metric::l2_squared || kernel.metric == Metric::inner_product ||
            kernel.metric == Metric::cosine)
            product_ = distance::find_kernel(kernel.element, Metric::inner_product)->distance;
        const unsigned bits = distance::compact_bits(kernel.element);
        too_coarse_ = (bits != 0 && bits < 8) || distance::may_be_cut(kernel.element);
    }

    double apart(const void *a, const void *b) const {
        if (kernel_.metric == Metric::inner_product)
            return apart_by_product(kernel_.distance(a, b, dimensions_), squared_length(a),
                                    squared_length(b));
        return apart_by(kernel_.link_distance()(a, b, dimensions_));
    }
    // The same, computed from a distance as the linker measures it; for every metric but
    // inner_product.
    double apart_by(double distance) const {
        switch (kernel_.metric) {
            case Metric::l2_squared:
                return std::sqrt(std::max(distance, 0.0));
            case Metric::cosine:
                return std::sqrt(2 * std::max(distance, 0.0));
            default:
                return distance;
        }
    }
    // The same for inner_product, computed from the distance and the squares of both lengths.
    static double apart_by_product(double distance, double squared_a, double squared_b) {
        return std::sqrt(std::max(squared_a + squared_b + 2 * distance, 0.0));
    }

    // How far a near copy is apart from `node` at most: a small part of the node's length, or of
    // the greatest possible distance. But short vectors are near copies of each other, whatever
    // their directions: to vectors of a length near 1 they are at one distance, to the last bit.
    // 0 where the length is too near to the limits of floats to tell. Less than any distance where
    // distances are rounded by more than this.
    double reach(const void *node) const {
        if (too_coarse_)
            return -1;
        switch (kernel_.metric) {
            case Metric::l2_squared:
            case Metric::inner_product: {
                const double square = squared_length(node);
                if (square < shortest * shortest)
                    return apart_if_short;
                return measurable(square) ? std::sqrt(square) * share : 0;
            }
            case Metric::cosine:
                return measurable(squared_length(node)) ? share : 0;
            case Metric::l1: {
                const double length = kernel_.distance(node, zeros_.data(), dimensions_);
                if (length < shortest)
                    return apart_if_short;
                return std::isfinite(length) ? length * share : 0;
            }
            case Metric::hamming:
                return static_cast<double>(dimensions_) * share;
            case Metric::jaccard:
                return share;
        }
        return 0;
    }
    bool is_near(const void *node, const void *other) const {
        if (kernel_.metric == Metric::cosine && !measurable(squared_length(other)))
            return false;
        return apart(node, other) <= reach(node);
    }

    // A lower bound of Kernel::whole_distance from the query to any near copy of `node`, given that
    // the distance to the node is at least `whole`.
    double least(double whole, const void *node, const void *query) const {
        constexpr double nothing = -std::numeric_limits<double>::infinity();
        // The margin covers what rounding may have done to the reach or to the distances.
        const double reached = reach(node) * (1 + 1e-3);
        double least = whole;
        switch (kernel_.metric) {
            case Metric::l2_squared:
                least = square(std::sqrt(std::max(whole, 0.0)) * (1 - 1e-6) - reached);
                break;
            case Metric::cosine:
                least = square(std::sqrt(2 * std::max(whole - 1e-6, 0.0)) - reached) / 2;
                break;
            case Metric::inner_product:
                least = whole - std::abs(whole) * 1e-6 - std::sqrt(squared_length(query)) * reached;
                break;
            default:
                least = whole - std::abs(whole) * 1e-6 - reached;
        }
        return std::isfinite(least) ? least : nothing;
    }

  private:
    using Metric = distance::Metric;
    static constexpr double share = 1.0 / 16;
    // Where all vectors are of such lengths, those share a place that lie together and apart from
    // all others (clump.hpp), as elsewhere.
    static constexpr double shortest = 1e-8;
    static constexpr double apart_if_short = 2.5 * shortest;

    static double square(double root) { return root > 0 ? root * root : 0; }
    static bool measurable(double squared) { return squared > 1e-30 && squared < 1e30; }
    double squared_length(const void *vector) const {
        return -static_cast<double>(product_(vector, vector, dimensions_));
    }

    distance::Kernel kernel_;
    std::size_t dimensions_;
    distance::DistanceFunction product_ = nullptr;  // minus the inner product
    bool too_coarse_ = false;                       // there are no near copies
    std::vector<std::byte> zeros_;                  // the vector of zeros, for l1
};

}  // namespace dvec::graph
