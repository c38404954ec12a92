// Finding a filter's set again, and making it longer as the index grows.
#include "engine/graph/admitted_sets.hpp"

#include <algorithm>
#include <bit>

#include "engine/graph/remembered_bytes.hpp"

namespace dvec::graph {

namespace {

constexpr std::uint32_t word_bits = 64;

std::size_t words_for(NodeId end) noexcept {
    return (std::size_t{end} + word_bits - 1) / word_bits;
}

class Hash {
  public:
    void add(std::uint64_t word) noexcept {
        hash_ = (hash_ ^ word) * 0x9E3779B97F4A7C15;
        hash_ ^= hash_ >> 32;
    }
    std::uint64_t value() const noexcept { return hash_; }

  private:
    std::uint64_t hash_ = 0;
};

std::uint64_t hash_of(const RowFilter &filter) noexcept {
    Hash hash;
    for (const RowFilter::Condition &condition : filter.conditions()) {
        hash.add(condition.column);
        hash.add(static_cast<std::uint64_t>(condition.kind));
        for (const RowFilter::Range range : condition.ranges) {
            hash.add(range.first);
            hash.add(range.last);
        }
        for (const std::uint64_t mask : condition.masks)
            hash.add(mask);
    }
    return hash.value();
}

}  // namespace

AdmittedSet::~AdmittedSet() { RememberedBytes::give_back(bytes_); }

void AdmittedSet::admit_chunk(const NodeStore &nodes, NodeId first, NodeId end,
                              std::uint64_t *out) const noexcept {
    for (NodeId id = first; id < end; id += word_bits, ++out) {
        *out = words_[id / word_bits];
        if (*out != 0)
            *out &= ~nodes.gone_word(id);
        if (end - id < word_bits)
            *out &= (std::uint64_t{1} << (end - id)) - 1;
    }
}

// What it takes to know the ids below `end`. There is room then for the rows that an index gets
// until it has grown by an eighth.
std::size_t AdmittedSet::missing_bytes(NodeId end) const noexcept {
    const std::size_t words = words_for(end);
    return words <= words_.capacity()
               ? 0
               : (words + words / 8 + 8 - words_.capacity()) * sizeof(std::uint64_t);
}

void AdmittedSet::extend(const NodeStore &nodes, NodeId end, bool (*interrupted)()) {
    words_.reserve(words_.capacity() + missing_bytes(end) / sizeof(std::uint64_t));
    // Between two questions whether to stop: some hundred microseconds.
    constexpr NodeId ids_between_polls = 512 * column_chunk_ids;
    while (end_ < end) {
        // The last word is made anew where it is not full.
        const NodeId first = end_ / word_bits * word_bits;
        const NodeId chunk_end = std::min(end, (first / column_chunk_ids + 1) * column_chunk_ids);
        if (first % ids_between_polls == 0 && interrupted != nullptr && interrupted())
            break;
        if (first < end_) {
            count_ -= static_cast<std::uint64_t>(std::popcount(words_.back()));
            words_.pop_back();
        }
        const std::size_t before = words_.size();
        words_.resize(words_for(chunk_end));
        filter_.meet_chunk(nodes, first, chunk_end, &words_[before]);
        for (std::size_t i = before; i < words_.size(); ++i)
            count_ += static_cast<std::uint64_t>(std::popcount(words_[i]));
        end_ = chunk_end;
    }
}

std::shared_ptr<AdmittedSet> AdmittedSets::of(const RowFilter &filter, const NodeStore &nodes,
                                              NodeId linked, double cost, std::size_t most_bytes,
                                              bool (*interrupted)()) {
    std::shared_ptr<AdmittedSet> set = find(filter, most_bytes);
    if (set && linked > set->end_ && (set->end_ > 0 || set->owed_ >= cost) &&
        make_room(*set, set->missing_bytes(linked), most_bytes))
        set->extend(nodes, linked, interrupted);
    return set;
}

std::shared_ptr<AdmittedSet> AdmittedSets::find(const RowFilter &filter, std::size_t most_bytes) {
    const std::uint64_t hash = hash_of(filter);
    const auto found = std::find_if(sets_.begin(), sets_.end(), [&](const auto &set) {
        return set->hash_ == hash && set->filter_.conditions() == filter.conditions();
    });
    if (found != sets_.end()) {
        std::rotate(sets_.begin(), found, found + 1);
        return sets_.front();
    }
    if (sets_.size() == most_sets)
        sets_.pop_back();
    auto set = std::make_shared<AdmittedSet>(filter, hash);
    if (!make_room(*set, sizeof(AdmittedSet) + filter.memory_bytes(), most_bytes))
        return nullptr;
    sets_.insert(sets_.begin(), set);
    return set;
}

// Takes memory for the set; where it must, from others that nobody has asked for of late. Those are
// kept where that would not do.
bool AdmittedSets::make_room(AdmittedSet &set, std::size_t bytes, std::size_t most_bytes) {
    std::size_t others = 0;
    for (const auto &other : sets_)
        others += other.get() == &set ? 0 : other->bytes_;
    while (!RememberedBytes::fit(bytes, most_bytes)) {
        if (bytes > others)
            return false;
        others -= sets_.back()->bytes_;
        sets_.pop_back();
    }
    RememberedBytes::take(bytes);
    set.bytes_ += bytes;
    return true;
}

}  // namespace dvec::graph
