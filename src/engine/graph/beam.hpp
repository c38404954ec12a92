// The best nodes of a search so far, sorted, with a cursor on the first not yet expanded. One
// sorted array does the work of the two priority queues of the textbook: a few hundred words stay
// in the first-level cache, an insertion moves a part of them, and the result needs no sorting at
// the end.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstring>
#include <vector>

#include "engine/graph/candidate.hpp"

namespace dvec::graph {

class Beam {
  public:
    // Empties the beam and sets how many candidates it holds at most (>= 1).
    void reset(std::size_t capacity) {
        if (entries_.size() < capacity + 1)
            entries_.resize(capacity + 1);
        capacity_ = capacity;
        size_ = cursor_ = 0;
    }

    // Takes out the first `count` candidates and sets a new capacity, which must have room for the
    // others.
    void drop_front(std::size_t count, std::size_t capacity) {
        assert(count <= size_ && size_ - count <= capacity);
        size_ -= count;
        std::memmove(entries_.data(), entries_.data() + count, size_ * sizeof(Candidate));
        if (entries_.size() < capacity + 1)
            entries_.resize(capacity + 1);
        capacity_ = capacity;
        cursor_ = 0;
        skip_expanded();
    }

    // Keeps only the candidates before the nearest one that is not yet expanded; calls `leave` with
    // each of the others.
    template <class Leave>
    void cut_at_next(Leave leave) {
        while (size_ > cursor_)
            leave(entries_[--size_]);
    }

    std::size_t size() const noexcept { return size_; }
    // How many come before the nearest that is not yet expanded.
    std::size_t expanded_in_front() const noexcept { return cursor_; }
    bool full() const noexcept { return size_ == capacity_; }
    Candidate operator[](std::size_t index) const noexcept { return entries_[index]; }
    // Whether insert() would keep this one.
    bool accepts(Candidate candidate) const noexcept {
        return size_ < capacity_ || candidate < entries_[size_ - 1];
    }

    // Adds a candidate that accepts() is true for and that is not in the beam. Returns the
    // candidate that had to leave for it, or `none` when there was room.
    static constexpr Candidate none = ~Candidate{0};
    Candidate insert(Candidate candidate) noexcept {
        assert(accepts(candidate));
        Candidate *data = entries_.data();
        // Lower bound without a branch, since where it goes is not predictable: by a mask, of which
        // no compiler makes one.
        std::size_t position = 0;
        for (std::size_t length = size_; length > 0;) {
            const std::size_t half = length / 2;
            const auto right = static_cast<std::size_t>(data[position + half] < candidate);
            position += (length - half) & (0 - right);
            length = half;
        }
        const Candidate last = size_ == capacity_ ? data[--size_] : none;
        std::memmove(data + position + 1, data + position, (size_ - position) * sizeof(Candidate));
        data[position] = candidate;
        ++size_;
        if (position < cursor_)
            cursor_ = position;
        skip_expanded();
        return last;
    }

    // The nearest not yet expanded, `none` when all are.
    Candidate next() const noexcept { return cursor_ < size_ ? entries_[cursor_] : none; }
    // Mark that candidate as expanded, or take it out of the beam.
    void mark_next_expanded() noexcept {
        entries_[cursor_] |= expanded_bit;
        skip_expanded();
    }
    void remove_next() noexcept {
        std::memmove(entries_.data() + cursor_, entries_.data() + cursor_ + 1,
                     (size_ - cursor_ - 1) * sizeof(Candidate));
        --size_;
        skip_expanded();
    }

    // All are to be expanded once more.
    void forget_expanded() noexcept {
        for (std::size_t i = 0; i < size_; ++i)
            entries_[i] &= ~expanded_bit;
        cursor_ = 0;
    }

    std::size_t memory_bytes() const noexcept { return entries_.capacity() * sizeof(Candidate); }

  private:
    void skip_expanded() noexcept {
        while (cursor_ < size_ && is_expanded(entries_[cursor_]))
            ++cursor_;
    }

    std::vector<Candidate> entries_;
    std::size_t capacity_ = 0;
    std::size_t size_ = 0;
    std::size_t cursor_ = 0;  // everything before it is expanded
};

}  // namespace dvec::graph
