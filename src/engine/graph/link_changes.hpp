// Where it is noted that a node's level-0 links have changed since they were coded
// (link_codes.hpp): a bit of the first word of the node's record.
#pragma once

#include <atomic>
#include <cstddef>

#include "engine/graph/format.hpp"

namespace dvec::graph {

class LinkChanges {
  public:
    // Set in a record whose codes are not those of the node's links.
    static constexpr NodeId changed_bit = 0x80000000u;
    static_assert(max_nodes < changed_bit);

    LinkChanges() noexcept = default;
    // Of the ids below `end`.
    LinkChanges(std::byte *records, std::size_t record_bytes, NodeId end) noexcept
        : records_(records), record_bytes_(record_bytes), end_(end) {}

    void note(NodeId id) const noexcept {
        if (id < end_)
            reinterpret_cast<std::atomic<NodeId> *>(records_ + std::size_t{id} * record_bytes_)
                ->fetch_or(changed_bit, std::memory_order_relaxed);
    }

  private:
    std::byte *records_ = nullptr;
    std::size_t record_bytes_ = 0;
    NodeId end_ = 0;
};

}  // namespace dvec::graph
