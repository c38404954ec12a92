// A sorted array: filled by one pass over the nodes, and searched in about the order of a table.
#include "engine/store/tid_map.hpp"

#include <algorithm>

#include "engine/store/live_nodes.hpp"

namespace dvec::store {

using base::Status;
using graph::NodeId;

namespace {

std::uint64_t pack(graph::Tid tid) { return std::uint64_t{tid.block} << 16 | tid.offset; }

}  // namespace

Status TidMap::fill(const graph::NodeStore &nodes, std::uint32_t end, bool (*interrupted)()) {
    return base::guarded([&]() -> Status {
        entries_.clear();
        DVEC_TRY(for_each_live(nodes, end, interrupted, [this](NodeId id, graph::Tid tid) {
            entries_.push_back({pack(tid), id, false});
        }));
        std::sort(entries_.begin(), entries_.end());
        return {};
    });
}

std::span<TidMap::Entry> TidMap::between(std::uint64_t first_tid, std::uint64_t end_tid) noexcept {
    const auto before = [](const Entry &entry, std::uint64_t tid) { return entry.tid < tid; };
    const auto begin = std::lower_bound(entries_.begin(), entries_.end(), first_tid, before);
    const auto end = std::lower_bound(begin, entries_.end(), end_tid, before);
    return {begin, end};
}

std::span<TidMap::Entry> TidMap::at(graph::Tid tid) noexcept {
    return between(pack(tid), pack(tid) + 1);
}

std::span<TidMap::Entry> TidMap::in_blocks(std::uint64_t first, std::uint64_t end) noexcept {
    return between(first << 16, end << 16);
}

}  // namespace dvec::store
