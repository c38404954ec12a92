// Finds, among the nodes of a graph, one with a given vector: a hash table of node ids, keyed by
// NodeStore::vector_hash. Used by one thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/graph/format.hpp"

namespace dvec::graph {

// Open addressing with linear probing in parts that grow by themselves, a little at a time. So the
// table takes 10 to 11.25 bytes per node, and hardly more while it grows: what is copied is one
// part. Tables below some ten thousand nodes take more.
class TwinTable {
  public:
    // Returns the node entered before that has the same vector as `id`. When there is none, enters
    // `id` and returns it. `same` tells whether another id has the vector of `id`. An entry that
    // has the same vector but for which `valid` is false is replaced by `id`.
    template <class Same, class Valid>
    NodeId find_or_enter(std::uint32_t hash, NodeId id, Same same, Valid valid) {
        const std::uint32_t key = hash * spread;
        Part &part = parts_[key >> (32 - part_bits)];
        if (part.is_full())
            part.grow();
        for (std::size_t at = part.home(key);; at = part.after(at)) {
            std::uint64_t &place = part.places[at];
            if (place == 0) {
                place = entry(key, id);
                ++part.size;
                return id;
            }
            const auto found = static_cast<NodeId>(place) - 1;
            if (place >> 32 != key || !(found == id || same(found)))
                continue;
            if (!valid(found))
                place = entry(key, id);
            return static_cast<NodeId>(place) - 1;
        }
    }

    // What the places take.
    std::size_t bytes() const noexcept {
        std::size_t places = 0;
        for (const Part &part : parts_)
            places += part.places.size();
        return places * sizeof(std::uint64_t);
    }

  private:
    // Odd, so that keys differ where hashes do; the first bits of a key depend on all of the hash.
    static constexpr std::uint32_t spread = 0x9E3779B1u;
    static constexpr unsigned part_bits = 6;
    static constexpr std::size_t least_places = 16;

    struct Part {
        std::vector<std::uint64_t> places;  // key << 32 | 1 + id, 0: free
        std::size_t size = 0;

        // At most four fifths are taken.
        bool is_full() const noexcept { return (size + 1) * 5 > places.size() * 4; }
        // Where the search for a key begins: the bits behind those that chose the part, as a
        // fraction of all places.
        std::size_t home(std::uint32_t key) const noexcept {
            return static_cast<std::size_t>(std::uint64_t{key << part_bits} * places.size() >> 32);
        }
        std::size_t after(std::size_t at) const noexcept {
            return at + 1 == places.size() ? 0 : at + 1;
        }
        void grow() {
            std::vector<std::uint64_t> before(
                std::max(least_places, places.size() + places.size() / 8));
            before.swap(places);
            for (const std::uint64_t moved : before) {
                if (moved == 0)
                    continue;
                std::size_t at = home(static_cast<std::uint32_t>(moved >> 32));
                while (places[at] != 0)
                    at = after(at);
                places[at] = moved;
            }
        }
    };

    static std::uint64_t entry(std::uint32_t key, NodeId id) {
        return std::uint64_t{key} << 32 | (id + 1);
    }

    std::array<Part, std::size_t{1} << part_bits> parts_;
};

}  // namespace dvec::graph
