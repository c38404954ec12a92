// Keys are tested 64 at a time, one condition after the other. A condition is tested on all 64
// keys, or only on those that are left, whichever is cheaper.
#include "engine/graph/row_filter.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "engine/distance/keys.hpp"

namespace dvec::graph {

namespace {

using Condition = RowFilter::Condition;
using Range = RowFilter::Range;

constexpr std::uint32_t word_bits = 64;

bool has_all(std::uint64_t mask, std::uint64_t key) noexcept {
    return (key & mask) == mask && key != RowFilter::null_key;
}

bool has_no_other(std::uint64_t mask, std::uint64_t key) noexcept {
    return (key & ~mask) == 0 && key != RowFilter::null_key;
}

bool meets(const Condition &condition, const KeyRanges &ranges, std::uint64_t key) noexcept {
    switch (condition.kind) {
        case Condition::Kind::within_ranges:
            return ranges.contain(key);
        case Condition::Kind::has_all_bits:
        case Condition::Kind::has_any_mask:
            return std::any_of(condition.masks.begin(), condition.masks.end(),
                               [key](std::uint64_t mask) { return has_all(mask, key); });
        case Condition::Kind::has_no_other_bits:
            return has_no_other(condition.masks.front(), key);
    }
    return false;
}

std::uint64_t all_of(std::uint32_t count) noexcept {
    return ~std::uint64_t{0} >> (word_bits - count);
}

// Bit i is set where keys[i] meets the condition; `keys` are 64 keys.
std::uint64_t word_of(const Condition &condition, const KeyRanges &ranges,
                      const std::uint64_t *keys) noexcept {
    const distance::KeyKernels &kernels = distance::key_kernels();
    std::uint64_t word = 0;
    switch (condition.kind) {
        case Condition::Kind::within_ranges:
            return ranges.contained(keys);
        case Condition::Kind::has_all_bits:
        case Condition::Kind::has_any_mask:
            for (const std::uint64_t mask : condition.masks)
                word |= kernels.matching(keys, mask, mask);
            return word;
        case Condition::Kind::has_no_other_bits:
            return kernels.matching(keys, ~condition.masks.front(), 0);
    }
    return word;
}

std::size_t tests_of(const Condition &condition, const KeyRanges &ranges) noexcept {
    return condition.kind == Condition::Kind::within_ranges ? ranges.tests_of_key()
                                                            : condition.masks.size();
}

// Whether testing a condition on all 64 keys takes less time than testing those that are left one
// by one. One test of all 64 keys is counted like testing four keys by themselves.
bool better_all(std::size_t tests, std::uint64_t left) noexcept {
    return 4 * tests <= static_cast<std::size_t>(std::popcount(left));
}

// The bits of `left` whose keys meet the condition.
std::uint64_t those_of(std::uint64_t left, const Condition &condition, const KeyRanges &ranges,
                       const std::uint64_t *keys) noexcept {
    std::uint64_t word = 0;
    for (; left != 0; left &= left - 1) {
        const int i = std::countr_zero(left);
        word |= std::uint64_t{meets(condition, ranges, keys[i])} << i;
    }
    return word;
}

// Bit i: id first + i is not marked as gone. `count` ids, 64 at most, of one chunk.
std::uint64_t present(const NodeStore &nodes, NodeId first, std::uint32_t count) noexcept {
    const std::uint32_t skipped = first % word_bits;
    std::uint64_t gone = nodes.gone_word(first - skipped) >> skipped;
    if (skipped + count > word_bits)
        gone |= nodes.gone_word(first - skipped + word_bits) << (word_bits - skipped);
    return all_of(count) & ~gone;
}

}  // namespace

void RowFilter::add(Condition condition) {
    ranges_.emplace_back(condition.ranges);
    conditions_.push_back(std::move(condition));
}

bool RowFilter::admits(const NodeStore &nodes, NodeId id) const noexcept {
    for (std::size_t i = 0; i < conditions_.size(); ++i)
        if (!meets(conditions_[i], ranges_[i], nodes.key(id, conditions_[i].column)))
            return false;
    return true;
}

// The bits of `word` whose ids pass: bit i is that of first + i. `count` ids, 64 at most, of one
// chunk.
std::uint64_t RowFilter::test(const NodeStore &nodes, NodeId first, std::uint32_t count,
                              std::uint64_t word) const noexcept {
    for (std::size_t i = 0; i < conditions_.size() && word != 0; ++i) {
        const Condition &condition = conditions_[i];
        const std::uint64_t *keys =
            nodes.keys(first / column_chunk_ids, condition.column) + first % column_chunk_ids;
        // word_of() reads 64 keys. Where there are fewer ids, the keys behind the last one may be
        // written at this moment, so it is not used.
        word = count == word_bits && better_all(tests_of(condition, ranges_[i]), word)
                   ? word & word_of(condition, ranges_[i], keys)
                   : those_of(word, condition, ranges_[i], keys);
    }
    return word;
}

void RowFilter::admit_chunk(const NodeStore &nodes, NodeId first, NodeId end,
                            std::uint64_t *out) const noexcept {
    for (NodeId id = first; id < end; id += word_bits, ++out) {
        const std::uint32_t count = std::min(end - id, word_bits);
        *out = test(nodes, id, count, present(nodes, id, count));
    }
}

void RowFilter::meet_chunk(const NodeStore &nodes, NodeId first, NodeId end,
                           std::uint64_t *out) const noexcept {
    for (NodeId id = first; id < end; id += word_bits, ++out) {
        const std::uint32_t count = std::min(end - id, word_bits);
        *out = test(nodes, id, count, all_of(count));
    }
}

std::size_t RowFilter::tests_of_row() const noexcept {
    std::size_t tests = 0;
    for (std::size_t i = 0; i < conditions_.size(); ++i)
        tests += tests_of(conditions_[i], ranges_[i]);
    return tests;
}

std::size_t RowFilter::memory_bytes() const noexcept {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < conditions_.size(); ++i)
        bytes += sizeof(Condition) + conditions_[i].ranges.capacity() * sizeof(Range) +
                 conditions_[i].masks.capacity() * sizeof(std::uint64_t) +
                 ranges_[i].memory_bytes();
    return bytes;
}

std::uint64_t RowFilter::count(const NodeStore &nodes, NodeId end) const noexcept {
    std::uint64_t passed = 0;
    for (NodeId first = 0; first < end;) {
        const NodeId chunk_end = first + std::min(end - first, column_chunk_ids);
        std::uint64_t words[chunk_words];
        admit_chunk(nodes, first, chunk_end, words);
        for (std::uint32_t i = 0; i < (chunk_end - first + word_bits - 1) / word_bits; ++i)
            passed += static_cast<std::uint64_t>(std::popcount(words[i]));
        first = chunk_end;
    }
    return passed;
}

double RowFilter::estimate(const NodeStore &nodes, NodeId end) const noexcept {
    if (end == 0)
        return 0;
    std::uint64_t passed = 0;
    const std::uint64_t looked_at = sample(nodes, end, [&](NodeId) { ++passed; });
    return static_cast<double>(passed) / static_cast<double>(looked_at);
}

}  // namespace dvec::graph
