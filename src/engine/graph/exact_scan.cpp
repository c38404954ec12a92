// Passes over the slots, in the order of memory.
#include "engine/graph/exact_scan.hpp"

#include <algorithm>
#include <cmath>

#include "engine/graph/slot_pass.hpp"

namespace dvec::graph {

using base::Code;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t first_chunk = 4096;
constexpr std::size_t largest_chunk = std::size_t{1} << 18;  // with its slack 8 MB

// A sample takes one node of each block, at a place that differs from block to block: so rows that
// repeat at regular distances are no more likely to be taken than others. Each node of the sample
// may have to be read from disk, so a sample stays small.
constexpr NodeId least_block = 64;
constexpr NodeId largest_sample = 512;
constexpr NodeId most_looked_at = 16;  // for each of the sample
// The sample of nodes whose pages are looked for in memory; each of them takes a system call.
constexpr NodeId largest_sample_of_pages = 128;
constexpr NodeId sampled_of(NodeId block, NodeId block_size) {
    constexpr NodeId golden = 0x9E3779B1u;  // the multiples of 2^32 / phi fill 2^32 evenly
    return block * block_size +
           static_cast<NodeId>(std::uint64_t{block * golden} * block_size >> 32);
}

bool is_within(const SearchContext &context, Ranked node) {
    return context.kernel.operator_value(node.distance()) <= context.count_within;
}

}  // namespace

Status scan_all(SearchContext &context, NodeId first, NodeId last, Refinement &found) {
    const std::uint64_t before = context.statistics.distances;
    const auto prefetch = [&](NodeId id) __attribute__((always_inline)) { context.prefetch(id); };
    Status status = pass_over(context, first, last, prefetch,
                              [&](NodeId id) { found.add(context.bound(context.estimate(id))); });
    context.statistics.scanned += context.statistics.distances - before;
    return status;
}

std::uint64_t estimate_within(SearchContext &context) {
    const NodeId linked = context.marks.linked;
    NodeId block_size = std::max(least_block, linked / largest_sample);
    // Rows that the filter refuses are not measured, so more rows are looked at in return.
    if (context.filter != nullptr)
        block_size = std::max(static_cast<NodeId>(block_size * context.plan.share()),
                              block_size / most_looked_at);
    std::uint64_t within = 0;
    NodeId blocks = 0;
    for (NodeId id; (id = sampled_of(blocks, block_size)) < linked; ++blocks) {
        const NodeId ahead = sampled_of(blocks + 2, block_size);
        if (ahead < linked &&
            (context.filter == nullptr || context.filter->admits(*context.nodes, ahead)))
            context.prefetch_whole(ahead);
        if (context.admits(id) && is_within(context, context.measure_whole(id)))
            ++within;
    }
    return blocks == 0 ? 0 : within * linked / blocks;
}

double share_missing(const SearchContext &context) {
    const NodeId linked = context.marks.linked;
    const NodeId block_size = std::max(least_block, linked / largest_sample_of_pages);
    NodeId missing = 0, blocks = 0;
    // Half a block away from a place where a node is measured.
    for (NodeId id; (id = sampled_of(blocks, block_size) + block_size / 2) < linked; ++blocks)
        missing += context.nodes->in_memory(id) ? 0 : 1;
    return blocks == 0 ? 0 : static_cast<double>(missing) / static_cast<double>(blocks);
}

void IntervalScan::start(Ranked after, Ranked until, const std::vector<NodeId> &except) {
    chunk_.clear();
    position_ = 0;
    chunk_size_ = first_chunk;
    after_ = after;
    until_ = until;
    except_ = &except;
    last_chunk_ = false;
}

Result<Head> IntervalScan::nearest(SearchContext &context) {
    if (position_ == chunk_.size() && !last_chunk_)
        DVEC_TRY(fill(context));
    if (position_ == chunk_.size())
        return Head();
    return Head(chunk_[position_]);
}

// How many rows the next pass keeps.
std::size_t IntervalScan::size_of_pass(const SearchContext &context, bool counting) const {
    // The rows that are counted will be asked for, and seldom any others.
    if (counting)
        return largest_chunk;
    if (context.filter == nullptr)
        return chunk_size_;
    // Where a filter admits not too many rows, all of them are kept.
    return std::clamp(static_cast<std::size_t>(1.25 * context.plan.admitted()), chunk_size_,
                      largest_chunk);
}

Status IntervalScan::fill(SearchContext &context) {
    if (!chunk_.empty()) {
        after_ = chunk_.back();
        chunk_size_ = std::min(chunk_size_ * 2, largest_chunk);
    }
    chunk_.clear();
    position_ = 0;
    const std::uint64_t before = context.statistics.distances;
    const bool counting = after_ == Ranked::first() && !std::isnan(context.count_within);
    chunk_size_ = size_of_pass(context, counting);
    if (!counting)
        // Twice as many rows are gathered as are kept, so that the cost of cutting back is spread
        // over as many additions.
        chunk_.reserve(2 * chunk_size_);
    std::uint64_t within = 0;
    Ranked nearest_outside = Ranked::last();
    Ranked limit = until_;
    bool cut = false;
    const auto cut_back = [&] {
        const auto middle = chunk_.begin() + static_cast<std::ptrdiff_t>(chunk_size_ - 1);
        std::nth_element(chunk_.begin(), middle, chunk_.end());
        limit = *middle;
        chunk_.resize(chunk_size_);
        cut = true;
    };
    const ReadingInOrder reading(*context.nodes);
    const auto prefetch = [&](NodeId id) __attribute__((always_inline)) {
        context.prefetch_whole(id);
    };
    const auto measure = [&](NodeId id) {
        const Ranked node = context.measure_whole(id);
        const bool outside = counting && !is_within(context, node);
        if (counting && !outside)
            ++within;
        if (node <= after_ || node > limit ||
            std::binary_search(except_->begin(), except_->end(), id))
            return;
        if (outside) {
            nearest_outside = std::min(nearest_outside, node);
            return;
        }
        chunk_.push_back(node);
        if (chunk_.size() == 2 * chunk_size_)
            cut_back();
    };
    const auto measure_live = [&](const NodeId *ids, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i)
            if (context.live(ids[i]))
                measure(ids[i]);
    };
    const Status status = context.filter == nullptr
                              ? pass_over(context, 0, context.marks.linked, prefetch, measure)
                              : pass_over_admitted(context, Measured::whole, measure_live);
    context.statistics.scanned += context.statistics.distances - before;
    if (!status.ok()) {
        // The pass must be made again from the same place, with the same size.
        chunk_.clear();
        return status;
    }
    if (counting)
        context.statistics.within = within;
    if (chunk_.size() > chunk_size_)
        cut_back();
    if (nearest_outside != Ranked::last()) {
        if (!cut)
            chunk_.push_back(nearest_outside);
        cut = true;
    }
    last_chunk_ = !cut;
    std::sort(chunk_.begin(), chunk_.end());
    return {};
}

void IntervalScan::release_memory() {
    chunk_.clear();
    if (chunk_.capacity() > kept_entries)
        chunk_.shrink_to_fit();
    position_ = 0;
}

}  // namespace dvec::graph
