// Nodes set aside, of which the nearest may be wanted later, or never. Adding is an append; order
// is made only when something is taken out, because most searches end without ever doing so.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

#include "engine/graph/candidate.hpp"

namespace dvec::graph {

// If a search has needed memory for more entries than this, the memory is given back before the
// next search.
inline constexpr std::size_t kept_entries = std::size_t{1} << 16;

// Entry is Candidate or Ranked.
template <class Entry>
class NodeHeap {
  public:
    // Empties it; memory beyond `keep` entries is given back.
    void reset(std::size_t keep) {
        entries_.clear();
        if (entries_.capacity() > keep)
            entries_.shrink_to_fit();
        ordered_ = 0;
    }

    bool empty() const noexcept { return entries_.empty(); }
    std::size_t size() const noexcept { return entries_.size(); }
    void add(Entry entry) { entries_.push_back(entry); }

    // The nearest; the heap must not be empty.
    Entry nearest() {
        settle();
        return entries_.front();
    }
    Entry take_nearest() {
        settle();
        std::pop_heap(entries_.begin(), entries_.end(), std::greater<>());
        const Entry entry = entries_.back();
        entries_.pop_back();
        ordered_ = entries_.size();
        return entry;
    }

    // In no particular order.
    const std::vector<Entry> &entries() const noexcept { return entries_; }

    std::size_t memory_bytes() const noexcept { return entries_.capacity() * sizeof(Entry); }

  private:
    // Makes a heap of all entries: one by one when few were added, at once when many.
    void settle() {
        if (entries_.size() - ordered_ > ordered_ / 8) {
            std::make_heap(entries_.begin(), entries_.end(), std::greater<>());
            ordered_ = entries_.size();
        }
        while (ordered_ < entries_.size()) {
            ++ordered_;
            std::push_heap(entries_.begin(),
                           entries_.begin() + static_cast<std::ptrdiff_t>(ordered_),
                           std::greater<>());
        }
    }

    std::vector<Entry> entries_;
    std::size_t ordered_ = 0;  // the first so many are a heap
};

using CandidateHeap = NodeHeap<Candidate>;

}  // namespace dvec::graph
