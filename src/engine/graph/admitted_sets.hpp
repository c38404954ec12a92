// Which rows a filter admits, a bit for each, so that the next search with the same conditions
// tests no keys: the number of rows that pass is known, and a test is a bit in the cache.
//
// A key never changes while its id is in use, so a bit that is set right stays right. Which rows
// are gone is not remembered, but read as ever.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/graph/node_store.hpp"
#include "engine/graph/row_filter.hpp"

namespace dvec::graph {

class AdmittedSet {
  public:
    // Knows the filter and no ids yet.
    AdmittedSet(const RowFilter &filter, std::uint64_t hash) : filter_(filter), hash_(hash) {}
    ~AdmittedSet();
    AdmittedSet(const AdmittedSet &) = delete;
    AdmittedSet &operator=(const AdmittedSet &) = delete;

    // The ids below this one are known.
    NodeId end() const noexcept { return end_; }
    // Whether the keys of an id below end() pass.
    bool has(NodeId id) const noexcept { return (words_[id / 64] >> id % 64 & 1) != 0; }
    // How many ids below end() pass, whether they are gone or not.
    std::uint64_t count() const noexcept { return count_; }

    // As RowFilter::admit_chunk, of ids below end(); `first` is a multiple of 64.
    void admit_chunk(const NodeStore &nodes, NodeId first, NodeId end,
                     std::uint64_t *out) const noexcept;
    // Calls `use` with some ids that pass, a hundred at most, spread over all.
    template <class Use>
    void sample(Use use) const {
        constexpr std::size_t places = 100;
        constexpr std::uint32_t scatter = 0x9E3779B9;  // values often repeat at regular distances
        const std::size_t stride = std::max<std::size_t>(1, words_.size() / places);
        for (std::uint32_t i = 0; i < std::min(places, words_.size()); ++i) {
            const std::size_t at = i * stride + (i * scatter >> 16) % stride;
            if (words_[at] != 0)
                use(static_cast<NodeId>(64 * at + std::countr_zero(words_[at])));
        }
    }

    // Notes time that searches would have saved by knowing the ids, in nanoseconds.
    void would_have_saved(double time) noexcept { owed_ += time; }

  private:
    friend class AdmittedSets;

    std::size_t missing_bytes(NodeId end) const noexcept;
    void extend(const NodeStore &nodes, NodeId end, bool (*interrupted)());

    const RowFilter filter_;
    const std::uint64_t hash_;  // of the filter
    std::vector<std::uint64_t> words_;
    NodeId end_ = 0;
    std::uint64_t count_ = 0;
    std::size_t bytes_ = 0;  // taken from RememberedBytes
    double owed_ = 0;
};

// Of one index, for the filters that searches of a process had last.
class AdmittedSets {
  public:
    // The set of this filter, which may know ids below `linked` and no others. It knows them as
    // soon as other searches with the same conditions would have saved by it the time that making
    // it takes, `cost`. Null where there is no room. `interrupted` as in Search::Params: then the
    // set may know fewer ids. The set stays what it is while others are made and given up. May
    // throw std::bad_alloc.
    std::shared_ptr<AdmittedSet> of(const RowFilter &filter, const NodeStore &nodes, NodeId linked,
                                    double cost, std::size_t most_bytes, bool (*interrupted)());

  private:
    std::shared_ptr<AdmittedSet> find(const RowFilter &filter, std::size_t most_bytes);
    bool make_room(AdmittedSet &set, std::size_t bytes, std::size_t most_bytes);

    static constexpr std::size_t most_sets = 64;
    std::vector<std::shared_ptr<AdmittedSet>> sets_;  // the one used last comes first
};

}  // namespace dvec::graph
