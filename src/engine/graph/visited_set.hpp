// The ids a search has met. A hash table sized by what one search visits rather than by the number
// of nodes: a few thousand words that stay in cache, and nothing per backend that grows with the
// index.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/graph/format.hpp"

namespace dvec::graph {

// Open addressing with linear probing, at most half full. Every entry carries the epoch of the
// search that wrote it; starting a new search is one increment, and older entries count as free.
class VisitedSet {
  public:
    // Forgets everything and makes sure of at least `entries` places. A table that an earlier
    // search left far larger than that is given back.
    void reset(std::size_t entries) {
        const std::size_t wanted = std::bit_ceil(entries < 2 ? std::size_t{2} : entries);
        if (table_.size() < wanted || table_.size() > 16 * wanted) {
            table_ = std::vector<std::uint64_t>(wanted, 0);
            epoch_ = 0;
        }
        if (++epoch_ == 0) {
            std::fill(table_.begin(), table_.end(), 0);
            epoch_ = 1;
        }
        size_ = 0;
    }

    // Makes room for `extra` insertions.
    void reserve(std::size_t extra) {
        while ((size_ + extra) * 2 > table_.size())
            grow();
    }

    // Whether the id was new. Room must have been reserved.
    bool insert(NodeId id) noexcept {
        const std::uint64_t entry = std::uint64_t{epoch_} << 32 | id;
        const std::size_t mask = table_.size() - 1;
        for (std::size_t at = position(id);; at = (at + 1) & mask) {
            if (table_[at] == entry)
                return false;
            if (table_[at] >> 32 != epoch_) {
                table_[at] = entry;
                ++size_;
                return true;
            }
        }
    }

    bool contains(NodeId id) const noexcept {
        const std::uint64_t entry = std::uint64_t{epoch_} << 32 | id;
        const std::size_t mask = table_.size() - 1;
        for (std::size_t at = position(id);; at = (at + 1) & mask) {
            if (table_[at] == entry)
                return true;
            if (table_[at] >> 32 != epoch_)
                return false;
        }
    }

    std::size_t size() const noexcept { return size_; }
    std::size_t memory_bytes() const noexcept { return table_.capacity() * sizeof(std::uint64_t); }

  private:
    std::size_t position(NodeId id) const noexcept {
        // Multiplicative hashing (Knuth): the high bits are the well-mixed ones.
        return static_cast<std::size_t>((id * 0x9E3779B97F4A7C15u) >>
                                        (64 - std::countr_zero(table_.size())));
    }

    void grow() {
        std::vector<std::uint64_t> before(table_.size() * 2, 0);
        before.swap(table_);
        size_ = 0;
        for (const std::uint64_t entry : before)
            if (entry >> 32 == epoch_)
                insert(static_cast<NodeId>(entry));
    }

    std::vector<std::uint64_t> table_;  // size a power of two, >= 2
    std::size_t size_ = 0;
    std::uint32_t epoch_ = 0;  // never 0 between reset() calls
};

}  // namespace dvec::graph
