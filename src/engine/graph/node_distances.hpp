// Distances between nodes as the linker needs them: which nodes are near a node, which neighbours
// crowd out others, and which nodes are near copies of each other.
#pragma once

#include <algorithm>

#include "engine/graph/beam.hpp"
#include "engine/graph/clump.hpp"
#include "engine/graph/link_measure.hpp"
#include "engine/graph/near_copies.hpp"
#include "engine/graph/neighbour_selection.hpp"
#include "engine/graph/node_store.hpp"

namespace dvec::graph {

// Threads may share it, but for resize().
class NodeDistances {
  public:
    NodeDistances(const NodeStore &nodes, const distance::Kernel &kernel, std::size_t dimensions)
        : nodes_(nodes),
          measure_(LinkMeasure::of(kernel, dimensions, nodes.layout())),
          measured_offset_(nodes.layout().measured_offset()),
          length_matters_(kernel.metric == distance::Metric::inner_product),
          slack_(slack_of(kernel.metric)),
          copies_(kernel, dimensions, nodes.layout().vector_bytes) {}

    void resize(std::size_t nodes) {
        if (length_matters_)
            from_itself_.resize(nodes);
    }

    // Measures the vector of `a` against the code of `b` where there are codes, against the vector
    // of `b` otherwise.
    float between(NodeId a, NodeId b) const {
        return measure_(nodes_.vector(a),
                        reinterpret_cast<const std::byte *>(nodes_.slot(b)) + measured_offset_);
    }

    // Chooses among the candidates of a node: all diverse ones, and slightly crowded ones until
    // there are `count`.
    //
    // A long vector has a larger inner product with everyone than a short one in the same
    // direction. By that measure alone the longest vectors would crowd out all others: every list
    // would hold a few long vectors, and no link would lead to what is nearest to a query in
    // another direction. So a kept neighbour crowds a candidate only if it is nearer to the
    // candidate than the node is in Euclidean distance as well:
    //
    //     |k - c|^2 < |n - c|^2  <=>  (|k|^2 - |n|^2) / 2 - k.c < -n.c
    //
    // for a node n, a kept neighbour k and a candidate c. Among vectors of one length nothing
    // changes. How much nearer it is, is told by these distances, too.
    void choose(NodeId node, std::size_t count, NeighbourSelection &choice) {
        const auto choose_by = [&](auto crowds) {
            const auto distance = [this](NodeId a, NodeId b) { return between(a, b); };
            choice.keep_diverse(distance, crowds);
            choice.keep_slightly_crowded(count, distance, crowds);
        };
        if (!length_matters_) {
            choose_by([slack = slack_](float near, NodeId, const Member &member) {
                if (!(near < member.distance))
                    return Crowding::none;
                return near * slack < member.distance ? Crowding::full : Crowding::slight;
            });
            return;
        }
        choose_by([&, own = from_itself(node)](float near, NodeId kept, const Member &member) {
            if (!(near < member.distance))
                return Crowding::none;
            const float kept_self = from_itself(kept);
            // The order of the arguments matters: lengths that overflow give NaN, for which this
            // is 0.
            if (!(near + std::max(0.0f, (own - kept_self) / 2) < member.distance))
                return Crowding::none;
            const float member_self = from_itself(member.id);
            return (2 * near - kept_self - member_self) * slack_ <
                           2 * member.distance - own - member_self
                       ? Crowding::full
                       : Crowding::slight;
        });
    }

    // Of the nodes that a walk for `node` found and for which `usable` is true, those that are
    // least apart from it.
    template <class Usable>
    NearestNodes least_apart(NodeId node, const Beam &found, Usable usable) {
        NearestNodes nearest;
        for (std::size_t i = 0; i < found.size() && (length_matters_ || !nearest.full()); ++i)
            if (const NodeId other = candidate_id(found[i]); usable(other))
                nearest.add({apart(node, found[i]), other});
        return nearest;
    }
    const NearCopies &copies() const { return copies_; }

  private:
    using Member = NeighbourSelection::Member;
    using Crowding = NeighbourSelection::Crowding;

    // A kept neighbour that is nearer to a candidate by a factor of less than this crowds it only
    // slightly. Some distances are squares, or in proportion to squares.
    static float slack_of(distance::Metric metric) {
        switch (metric) {
            case distance::Metric::l1:
            case distance::Metric::hamming:
            case distance::Metric::jaccard:
                return 1.1f;
            default:
                return 1.2f;
        }
    }

    double apart(NodeId node, Candidate candidate) {
        const double distance = candidate_distance(candidate);
        if (!length_matters_)
            return copies_.apart_by(distance);
        return NearCopies::apart_by_product(distance, -from_itself(node),
                                            -from_itself(candidate_id(candidate)));
    }
    float from_itself(NodeId node) { return from_itself_(measure_, nodes_, node); }

    const NodeStore &nodes_;
    const LinkMeasure measure_;
    const std::size_t measured_offset_;  // in a slot
    const bool length_matters_;          // distances are inner products
    const float slack_;
    SelfDistances from_itself_;  // for inner products only
    const NearCopies copies_;
};

}  // namespace dvec::graph
