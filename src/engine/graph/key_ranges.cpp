// The table of parts, and how keys are looked up in it.
#include "engine/graph/key_ranges.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <limits>

#include "engine/distance/keys.hpp"

namespace dvec::graph {

KeyRanges::KeyRanges(const std::vector<Range> &ranges) {
    ranges_.reserve(ranges.size());
    // Values that follow each other, as those of an IN list often do, make one range.
    for (const Range range : ranges)
        if (!ranges_.empty() && range.first - 1 == ranges_.back().last)
            ranges_.back().last = range.last;
        else
            ranges_.push_back(range);
    if (ranges_.size() <= tests_of_table)
        return;
    const std::uint64_t first = ranges_.front().first;
    span_ = ranges_.back().last - first;
    const auto bits = static_cast<unsigned>(std::bit_width(span_));
    shift_ = bits - std::min(bits, most_parts_bits);
    parts_.resize((span_ >> shift_) + 1, nothing);
    const std::uint64_t rest = (std::uint64_t{1} << shift_) - 1;
    for (const Range range : ranges_) {
        const std::uint64_t begin = range.first - first;
        const std::uint64_t end = range.last - first;
        const std::uint64_t first_part = begin >> shift_;
        const std::uint64_t last_part = end >> shift_;
        std::fill(parts_.begin() + static_cast<std::ptrdiff_t>(first_part),
                  parts_.begin() + static_cast<std::ptrdiff_t>(last_part) + 1, whole);
        if ((begin & rest) != 0)
            parts_[first_part] = some;
        if ((end & rest) != rest)
            parts_[last_part] = some;
    }
}

// Without a branch for each key: which part a key is in cannot be foretold.
std::uint64_t KeyRanges::contained(const std::uint64_t *keys) const noexcept {
    std::uint64_t inside = 0;
    if (parts_.empty()) {
        const auto within = distance::key_kernels().within;
        for (const Range range : ranges_)
            inside |= within(keys, range.first, range.last - range.first);
        return inside;
    }
    const std::uint64_t first = ranges_.front().first;
    std::uint64_t unsure = 0;
    for (unsigned i = 0; i < 64; ++i) {
        const std::uint64_t behind = keys[i] - first;
        const std::uint64_t looked_up = parts_[std::min(behind, span_) >> shift_];
        const std::uint64_t part = behind <= span_ ? looked_up : nothing;
        inside |= (part & whole) << i;
        unsure |= (part / some) << i;
    }
    for (; unsure != 0; unsure &= unsure - 1) {
        const int i = std::countr_zero(unsure);
        inside |= std::uint64_t{search(keys[i])} << i;
    }
    return inside;
}

bool KeyRanges::search(std::uint64_t key) const noexcept {
    const auto behind = std::upper_bound(
        ranges_.begin(), ranges_.end(), key,
        [](std::uint64_t value, const Range &range) { return value < range.first; });
    return behind != ranges_.begin() && key <= std::prev(behind)->last;
}

}  // namespace dvec::graph
