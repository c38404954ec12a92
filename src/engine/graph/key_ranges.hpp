// Ranges of keys, and whether a key is in one of them.
//
// A few ranges are tested one after the other, 64 keys at a time. Of many, a table says for equal
// parts of all that lies between the first and the last whether a range has the whole of the part,
// nothing of it, or some of it; only then the ranges are searched. So a list of hundreds of values
// costs about as much as four ranges.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dvec::graph {

class KeyRanges {
  public:
    struct Range {  // both inclusive
        std::uint64_t first;
        std::uint64_t last;

        friend bool operator==(const Range &, const Range &) = default;
    };

    KeyRanges() = default;
    // Ascending and disjoint. May throw std::bad_alloc.
    explicit KeyRanges(const std::vector<Range> &ranges);

    bool contain(std::uint64_t key) const noexcept {
        if (parts_.empty())
            return search(key);
        const Part part = part_of(key);
        return part == whole || (part == some && search(key));
    }
    // Bit i is set where keys[i] is in a range; `keys` are 64 keys.
    std::uint64_t contained(const std::uint64_t *keys) const noexcept;

    // What the test of one of 64 keys costs, in tests of one range.
    std::size_t tests_of_key() const noexcept {
        return parts_.empty() ? ranges_.size() : tests_of_table;
    }

    std::size_t memory_bytes() const noexcept {
        return sizeof(*this) + ranges_.capacity() * sizeof(Range) + parts_.capacity();
    }

  private:
    using Part = std::uint8_t;
    static constexpr Part nothing = 0, whole = 1, some = 2;
    // With AVX2 and AVX-512 a look at the table takes the time of three to five ranges.
    static constexpr std::size_t tests_of_table = 4;
    static constexpr unsigned most_parts_bits = 12;  // the table stays in the first-level cache

    Part part_of(std::uint64_t key) const noexcept {
        const std::uint64_t behind = key - ranges_.front().first;
        return behind <= span_ ? parts_[behind >> shift_] : nothing;
    }
    bool search(std::uint64_t key) const noexcept;

    std::vector<Range> ranges_;
    std::vector<Part> parts_;  // empty where there are few ranges
    std::uint64_t span_ = 0;   // from the first to the last key
    unsigned shift_ = 0;       // a part has 2^shift_ keys
};

}  // namespace dvec::graph
