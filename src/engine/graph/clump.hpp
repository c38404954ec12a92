// Tells whether a new node belongs to a clump of near copies that a few nodes of the graph stand
// for.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "engine/graph/format.hpp"

namespace dvec::graph {

// The nodes nearest to the new one. They are a clump when all others are several times as far away:
// seen from those others, the new node and the clump are one. Threads that link the first rows of a
// clump at the same time make several nodes of them, so a clump may have a few nodes.
class NearestNodes {
  public:
    struct Node {
        double apart = 0;  // near_copies.hpp
        NodeId id = 0;

        bool operator<(const Node &other) const { return apart < other.apart; }
    };
    static constexpr std::size_t most = 8;

    bool full() const { return count_ == nodes_.size(); }
    // Keeps the nearest so many.
    void add(Node node) {
        if (full() && !(node < nodes_.back()))
            return;
        if (!full())
            ++count_;
        nodes_[count_ - 1] = node;
        for (std::size_t i = count_ - 1; i > 0 && nodes_[i] < nodes_[i - 1]; --i)
            std::swap(nodes_[i], nodes_[i - 1]);
    }

    std::size_t count() const { return count_; }
    const Node &operator[](std::size_t index) const { return nodes_[index]; }
    // Replaces the distance of each node that is at most `within` apart by a better one.
    template <class Measure>
    void measure(double within, Measure measure) {
        for (std::size_t i = 0; i < count_ && nodes_[i].apart <= within; ++i)
            nodes_[i].apart = measure(nodes_[i].id);
        std::sort(nodes_.begin(), nodes_.begin() + static_cast<std::ptrdiff_t>(count_));
    }

    // How many of the nodes make up the clump; 0: there is no clump. Where no other nodes were
    // found, all of them do.
    std::size_t clump_size() const {
        for (std::size_t i = 1; i < count_; ++i)
            if (nodes_[i].apart >= nodes_[i - 1].apart * times)
                return i;
        return full() ? 0 : count_;
    }

  private:
    static constexpr double times = 8;

    std::array<Node, most + 1> nodes_;
    std::size_t count_ = 0;
};

}  // namespace dvec::graph
