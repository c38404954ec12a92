// The mapped keys of an index with columns behind the vector (`columns.G`, format.hpp): for each
// row and column one 64-bit key, in order of ids, and two bits for each row. A view: NodeStore owns
// the mapping and moves it.
//
// A key never changes while its id is in use, and is visible to every process that has seen the id
// below `allocated` or its slot ready. The bits are hints about what the slots say, so that a pass
// over keys need not touch the slot of every id:
//   gone    set only after the slot is deleted or a hole, so an id without it may be gone as well;
//   shared  set before the first twin of a node can be found in its chain (twins.hpp). A node
//           without it has no chain, one with it may have one.
// After a power loss the bits may say anything; NodeStore::restore_hints() sets them right before
// the index is used again.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/graph/format.hpp"

namespace dvec::graph {

class Columns {
  public:
    Columns() noexcept = default;
    Columns(std::byte *chunks, const Layout &layout) noexcept
        : chunks_(chunks), chunk_bytes_(layout.column_chunk_bytes()) {}

    // The keys of one column and chunk, column_chunk_ids of them.
    std::uint64_t *keys(std::uint32_t chunk, std::uint32_t column) const noexcept {
        return reinterpret_cast<std::uint64_t *>(chunk_at(chunk) + column_chunk_head_bytes +
                                                 std::size_t{column} * column_chunk_ids *
                                                     sizeof(std::uint64_t));
    }
    std::uint64_t &key(NodeId id, std::uint32_t column) const noexcept {
        return keys(id / column_chunk_ids, column)[id % column_chunk_ids];
    }

    // The word of 64 ids from `first` on, a multiple of 64.
    std::atomic<std::uint64_t> &gone(NodeId first) const noexcept { return bits(first, 0); }
    std::atomic<std::uint64_t> &shared(NodeId first) const noexcept {
        return bits(first, column_chunk_ids / 64);
    }

    static constexpr std::uint64_t bit(NodeId id) noexcept { return std::uint64_t{1} << id % 64; }
    static bool test(const std::atomic<std::uint64_t> &word, NodeId id) noexcept {
        return (word.load(std::memory_order_acquire) & bit(id)) != 0;
    }
    // A locked instruction is used only where something changes.
    static void set(std::atomic<std::uint64_t> &word, NodeId id) noexcept {
        if (!test(word, id))
            word.fetch_or(bit(id), std::memory_order_release);
    }
    static void clear(std::atomic<std::uint64_t> &word, NodeId id) noexcept {
        if (test(word, id))
            word.fetch_and(~bit(id), std::memory_order_release);
    }

  private:
    std::byte *chunk_at(std::uint32_t chunk) const noexcept {
        return chunks_ + std::size_t{chunk} * chunk_bytes_;
    }
    std::atomic<std::uint64_t> &bits(NodeId id, std::uint32_t first_word) const noexcept {
        return reinterpret_cast<std::atomic<std::uint64_t> *>(
            chunk_at(id / column_chunk_ids))[first_word + id % column_chunk_ids / 64];
    }

    std::byte *chunks_ = nullptr;
    std::size_t chunk_bytes_ = 0;
};

}  // namespace dvec::graph
