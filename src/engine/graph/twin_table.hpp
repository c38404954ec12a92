// Finds, among the nodes of a graph, one with a given vector: a hash table of node ids, keyed by
// NodeStore::vector_hash. Used by one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/graph/format.hpp"

namespace dvec::graph {

// Open addressing with linear probing, at most five eighths full; eight bytes per place.
class TwinTable {
  public:
    // Returns the node entered before that has the same vector as `id`. When there is none, enters
    // `id` and returns it. `same` tells whether another id has the vector of `id`. An entry that
    // has the same vector but for which `valid` is false is replaced by `id`.
    template <class Same, class Valid>
    NodeId find_or_enter(std::uint32_t hash, NodeId id, Same same, Valid valid) {
        if ((size_ + 1) * 8 > places_.size() * 5)
            grow();
        const std::size_t mask = places_.size() - 1;
        for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
            std::uint64_t &place = places_[at];
            if (place == 0) {
                place = entry(hash, id);
                ++size_;
                return id;
            }
            const auto found = static_cast<NodeId>(place) - 1;
            if (place >> 32 != hash || !(found == id || same(found)))
                continue;
            if (!valid(found))
                place = entry(hash, id);
            return static_cast<NodeId>(place) - 1;
        }
    }

  private:
    static std::uint64_t entry(std::uint32_t hash, NodeId id) {
        return std::uint64_t{hash} << 32 | (id + 1);
    }

    void grow() {
        std::vector<std::uint64_t> before(places_.empty() ? 1024 : places_.size() * 2);
        before.swap(places_);
        const std::size_t mask = places_.size() - 1;
        for (const std::uint64_t moved : before) {
            if (moved == 0)
                continue;
            std::size_t at = (moved >> 32) & mask;
            while (places_[at] != 0)
                at = (at + 1) & mask;
            places_[at] = moved;
        }
    }

    std::vector<std::uint64_t> places_;  // hash << 32 | 1 + id, 0: free; size a power of two
    std::size_t size_ = 0;
};

}  // namespace dvec::graph
