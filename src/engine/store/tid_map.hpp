// The live nodes of an index by TID, for comparing the index with its table.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/status.hpp"
#include "engine/graph/node_store.hpp"

namespace dvec::store {

class TidMap {
  public:
    struct Entry {
        std::uint64_t tid;  // block << 16 | offset
        std::uint32_t node;
        bool marked;  // for the owner's use
        bool operator<(const Entry &other) const noexcept {
            return tid != other.tid ? tid < other.tid : node < other.node;
        }
    };

    // Takes in the live nodes below `end`, which the mapping of `nodes` must cover. `interrupted`
    // is polled; Code::interrupted then. Memory: 16 bytes per live node.
    base::Status fill(const graph::NodeStore &nodes, std::uint32_t end, bool (*interrupted)());

    // The entries of a TID, the one of the lowest node first.
    std::span<Entry> at(graph::Tid tid) noexcept;
    // The entries on the blocks [first, end), in order of their TIDs.
    std::span<Entry> in_blocks(std::uint64_t first, std::uint64_t end) noexcept;

    std::size_t size() const noexcept { return entries_.size(); }

  private:
    std::span<Entry> between(std::uint64_t first_tid, std::uint64_t end_tid) noexcept;

    std::vector<Entry> entries_;  // ascending
};

}  // namespace dvec::store
