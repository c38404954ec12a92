// Conditions on the columns behind the vector, all of which a row must meet: what a filtered search
// is given. Knows keys and nothing of the values they stand for.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "engine/graph/node_store.hpp"

namespace dvec::graph {

class RowFilter {
  public:
    // The key of SQL's NULL, and of nothing else. It is within a range as any other key is; the
    // conditions on bits never admit it.
    static constexpr std::uint64_t null_key = std::numeric_limits<std::uint64_t>::max();

    struct Range {  // both inclusive
        std::uint64_t first;
        std::uint64_t last;
    };
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

    // Whether the keys of an id below `allocated` pass; whether its row is gone is another matter.
    bool admits(const NodeStore &nodes, NodeId id) const noexcept;

    // Bit i of `out` becomes 1 where id first + i passes and is not marked as gone (columns.hpp); a
    // word for each 64 ids of [first, end), which lie in one chunk, bits behind the end 0.
    void admit_chunk(const NodeStore &nodes, NodeId first, NodeId end,
                     std::uint64_t *out) const noexcept;
    static constexpr std::uint32_t chunk_words = column_chunk_ids / 64;

    // How many ids below `end` admit_chunk has a bit for. A pass over all keys.
    std::uint64_t count(const NodeStore &nodes, NodeId end) const noexcept;

    // Which share of the ids below `end` that is, told from some 1,000 of them everywhere, or from
    // all where they are not many more; 0 when there are none.
    double estimate(const NodeStore &nodes, NodeId end) const noexcept;

  private:
    std::vector<Condition> conditions_;
};

}  // namespace dvec::graph
