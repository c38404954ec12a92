// The conditions of a filtered search on the columns behind the vector; a row must meet all of
// them. This knows keys, and nothing of the values that they stand for.
#pragma once

#include <algorithm>
#include <bit>
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

        friend bool operator==(const Condition &, const Condition &) = default;
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
    // The same, whether the ids are marked as gone or not.
    void meet_chunk(const NodeStore &nodes, NodeId first, NodeId end,
                    std::uint64_t *out) const noexcept;

    // How many ids below `end` pass and are not marked as gone. Makes a pass over all keys.
    std::uint64_t count(const NodeStore &nodes, NodeId end) const noexcept;

    // An estimate of count() as a share of the ids below `end`, from about 1,000 of them spread
    // over all, or from all of them where there are not many more; 0 when there are no ids.
    double estimate(const NodeStore &nodes, NodeId end) const noexcept;
    // Calls `use` with each id of that sample that passes and is not marked as gone. Returns how
    // many ids the sample has.
    template <class Use>
    std::uint64_t sample(const NodeStore &nodes, NodeId end, Use use) const {
        const Sample sample(end);
        for (NodeId run = 0; run < sample.runs; ++run) {
            const NodeId first = sample.first_of(run);
            std::uint64_t word;
            admit_chunk(nodes, first, first + std::min(sample.run, end - first), &word);
            for (; word != 0; word &= word - 1)
                use(first + static_cast<NodeId>(std::countr_zero(word)));
        }
        return std::min<std::uint64_t>(end, std::uint64_t{sample.runs} * sample.run);
    }

    // What the test of one row takes in a pass, in tests of one range.
    std::size_t tests_of_row() const noexcept;

    std::size_t memory_bytes() const noexcept;

  private:
    std::uint64_t test(const NodeStore &nodes, NodeId first, std::uint32_t count,
                       std::uint64_t word) const noexcept;

    // Runs of the ids that share a cache line, one in each of equal parts, at a place that differs
    // from part to part: values often repeat at regular distances. The places are the same every
    // time. Where there are not many more ids, the sample is all of them.
    struct Sample {
        explicit Sample(NodeId end) noexcept {
            constexpr NodeId usual_run = cache_line / sizeof(std::uint64_t);
            constexpr NodeId parts = 128;
            if (end <= 4 * usual_run * parts) {
                run = 64;
                runs = (end + run - 1) / run;
            } else {
                run = usual_run;
                runs = parts;
                runs_per_part = end / run / parts;
            }
        }
        NodeId first_of(NodeId index) const noexcept {
            constexpr std::uint64_t scatter = 0x9E3779B97F4A7C15;  // 2^64 / the golden ratio
            const std::uint64_t place = ((index * scatter) >> 32) * runs_per_part >> 32;
            return static_cast<NodeId>((index * runs_per_part + place) * run);
        }

        NodeId run;  // ids
        NodeId runs;
        std::uint64_t runs_per_part = 1;
    };

    std::vector<Condition> conditions_;
    std::vector<KeyRanges> ranges_;  // of each condition; empty where it has none
};

}  // namespace dvec::graph
