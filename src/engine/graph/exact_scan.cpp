// Passes over the slots, in the order of memory.
#include "engine/graph/exact_scan.hpp"

#include <algorithm>
#include <cmath>

namespace dvec::graph {

using base::Code;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t first_chunk = 4096;
constexpr std::size_t largest_chunk = std::size_t{1} << 18;  // with its slack 8 MB

// Calls `use` with every live node of [first, last). `prefetch` is called for nodes ahead.
template <class Prefetch, class Use>
Status pass_over(SearchContext &context, NodeId first, NodeId last, Prefetch prefetch, Use use) {
    // Slots ahead of the one measured: their lines arrive while this one is computed.
    constexpr NodeId ahead = 2;
    const NodeStore &nodes = *context.nodes;
    for (NodeId id = first; id < last; ++id) {
        if ((id & 1023) == 0 && context.stop_requested())
            return Status(Code::interrupted, "search was interrupted");
        if (id + ahead < last) {
            __builtin_prefetch(nodes.slot(id + ahead));
            prefetch(id + ahead);
        }
        if (context.live(id))
            use(id);
    }
    return {};
}

}  // namespace

Status scan_all(SearchContext &context, NodeId first, NodeId last, Refinement &found) {
    const std::uint64_t before = context.statistics.distances;
    Status status = pass_over(
        context, first, last, [&](NodeId id) { context.prefetch(id); },
        [&](NodeId id) { found.add(context.bound(context.estimate(id))); });
    context.statistics.scanned += context.statistics.distances - before;
    return status;
}

void ExactStream::start(Ranked after, Ranked until, const std::vector<NodeId> &except) {
    chunk_.clear();
    position_ = 0;
    chunk_size_ = first_chunk;
    after_ = after;
    until_ = until;
    except_ = &except;
    last_chunk_ = false;
}

Result<std::optional<Ranked>> ExactStream::nearest(SearchContext &context) {
    if (position_ == chunk_.size() && !last_chunk_)
        DVEC_TRY(fill(context));
    if (position_ == chunk_.size())
        return std::optional<Ranked>();
    return std::optional<Ranked>(chunk_[position_]);
}

Status ExactStream::fill(SearchContext &context) {
    if (!chunk_.empty()) {
        after_ = chunk_.back();
        chunk_size_ = std::min(chunk_size_ * 2, largest_chunk);
    }
    chunk_.clear();
    position_ = 0;
    // Twice as many are gathered as are kept, so that cutting back is paid by as many additions.
    chunk_.reserve(2 * chunk_size_);
    const std::uint64_t before = context.statistics.distances;
    const bool counting = after_ == Ranked::first() && !std::isnan(context.count_within);
    std::uint64_t within = 0;
    Ranked limit = until_;
    bool cut = false;
    const auto cut_back = [&] {
        const auto middle = chunk_.begin() + static_cast<std::ptrdiff_t>(chunk_size_ - 1);
        std::nth_element(chunk_.begin(), middle, chunk_.end());
        limit = *middle;
        chunk_.resize(chunk_size_);
        cut = true;
    };
    const std::size_t lines = lines_ahead(0, context.nodes->layout().vector_bytes);
    const auto prefetch = [&](NodeId id) { prefetch_lines(context.nodes->vector(id), lines); };
    const Status status = pass_over(context, 0, context.marks.linked, prefetch, [&](NodeId id) {
        const Ranked node = context.measure_whole(id);
        if (counting && context.kernel.operator_value(node.distance()) <= context.count_within)
            ++within;
        if (node <= after_ || node > limit ||
            std::binary_search(except_->begin(), except_->end(), id))
            return;
        chunk_.push_back(node);
        if (chunk_.size() == 2 * chunk_size_)
            cut_back();
    });
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
    last_chunk_ = !cut;
    std::sort(chunk_.begin(), chunk_.end());
    return {};
}

void ExactStream::release_memory(std::size_t keep_entries) {
    chunk_.clear();
    if (chunk_.capacity() > keep_entries)
        chunk_.shrink_to_fit();
    position_ = 0;
}

}  // namespace dvec::graph
