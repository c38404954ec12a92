// The conditions of a filtered search on the columns behind the vector; a row must meet all of
// them. This knows keys, and nothing of the values that they stand for.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "engine/graph/key_ranges.hpp"
#include "engine/graph/node_store.hpp"

namespace dvec::graph {

class RowFilter {
  public:
    // The key of SQL's NULL, and of nothing else. A range can contain it like any other key; the
    // conditions on bits never admit it.
    static constexpr std::uint64_t null_key = std::numeric_limits<std::uint64_t>::max();

    using Range = KeyRanges::Range;
    struct Condition {
        enum class Kind : std::uint8_t {
            within_ranges,     // the key is in one of `ranges`
            has_all_bits,      // it has all bits of the one mask
            has_any_mask,      // it has all bits of one of the masks
            has_no_other_bits  // it has no bits but those of the one mask
        };
        std::uint32_t column = 0;
        Kind kind = Kind::within_ranges;
        std::vector<Range> ranges;         // ascending and disjoint; without any nothing passes
        std::vector<std::uint64_t> masks;  // of the kinds that look at bits
    };

    // May throw std::bad_alloc. The layout of the nodes asked about must have the column.
    void add(Condition condition);

    // Without conditions every row passes.
    bool empty() const noexcept { return conditions_.empty(); }
    const std::vector<Condition> &conditions() const noexcept { return conditions_; }

    // Whether the keys of an id below `allocated` pass. Does not ask whether its row is gone.
    bool admits(const NodeStore &nodes, NodeId id) const noexcept;

    // Sets bit i of `out` to 1 where id first + i passes and is not marked as gone (columns.hpp),
    // and to 0 otherwise. `out` has a word for every 64 ids of [first, end), which must lie in one
    // chunk; bits behind the end are 0.
    void admit_chunk(const NodeStore &nodes, NodeId first, NodeId end,
                     std::uint64_t *out) const noexcept;
    static constexpr std::uint32_t chunk_words = column_chunk_ids / 64;

    // How many ids below `end` pass and are not marked as gone. Makes a pass over all keys.
    std::uint64_t count(const NodeStore &nodes, NodeId end) const noexcept;

    // An estimate of count() as a share of the ids below `end`, from about 1,000 of them spread
    // over all, or from all of them where there are not many more; 0 when there are no ids.
    double estimate(const NodeStore &nodes, NodeId end) const noexcept;

    // What the test of one row takes in a pass, in tests of one range.
    std::size_t tests_of_row() const noexcept;

  private:
    std::vector<Condition> conditions_;
    std::vector<KeyRanges> ranges_;  // of each condition; empty where it has none
};

}  // namespace dvec::graph
