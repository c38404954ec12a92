// A sorted array: filled by one pass over the nodes, and searched in about the order of a table.
#include "engine/store/tid_map.hpp"

#include <algorithm>

namespace dvec::store {

using base::Code;
using base::Status;
using graph::NodeId;

namespace {

constexpr NodeId nodes_between_polls = 4096;

std::uint64_t pack(graph::Tid tid) { return std::uint64_t{tid.block} << 16 | tid.offset; }

}  // namespace

Status TidMap::fill(const graph::NodeStore &nodes, std::uint32_t end, bool (*interrupted)()) {
    return base::guarded([&]() -> Status {
        entries_.clear();
        for (NodeId id = 0; id < end; ++id) {
            if (id % nodes_between_polls == 0 && interrupted != nullptr && interrupted())
                return Status(Code::interrupted, "reading the nodes was stopped");
            const std::uint64_t state = nodes.state(id);
            if (graph::is_live(state))
                entries_.push_back({pack(graph::state_tid(state)), id, false});
        }
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
