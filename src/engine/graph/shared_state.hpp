// What the processes that share one graph must agree on from moment to moment. It lives in memory
// that all of them see (the server's shared memory; plain memory in a unit test) and is rebuilt
// from the checkpoint and the log whenever that memory was lost. Node ids divide into
//
//     [0, linked)           linked: found by graph search
//     [linked, allocated)   the tail: found by exact scan, once their slot is ready
//     [allocated, capacity) disk space exists, nothing else
//
// Both marks only grow. The linker stores `linked` and then `entry_point`; a reader loads them the
// other way round (Watermarks::load).
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/graph/format.hpp"

namespace dvec::graph {

// Where searches start: the highest linked node. Packed to be published in one store.
struct EntryPoint {
    NodeId id = 0;
    int level = -1;  // -1: the graph is empty

    static constexpr std::uint64_t pack(EntryPoint entry) {
        return std::uint64_t{static_cast<std::uint32_t>(entry.level + 1)} << 32 | entry.id;
    }
    static constexpr EntryPoint unpack(std::uint64_t word) {
        return {static_cast<NodeId>(word),
                static_cast<int>(static_cast<std::uint32_t>(word >> 32) - 1)};
    }
};

// All zero is the state of an empty graph.
struct SharedState {
    alignas(cache_line) std::atomic<std::uint32_t> allocated;
    std::atomic<std::uint32_t> capacity;  // slots with disk space in `nodes`
    std::atomic<std::uint32_t> deleted;   // nodes with slot_deleted or slot_hole below `allocated`

    alignas(cache_line) std::atomic<std::uint32_t> linked;
    std::atomic<std::uint64_t> entry_point;      // EntryPoint::pack; of the graph below `linked`
    std::atomic<std::uint32_t> upper_allocated;  // blocks in use in `upper`; the linker writes it
    std::atomic<std::uint32_t> upper_capacity;   // blocks with disk space

    // Link codes (link_codes.hpp): whether searches want them, which file has them, counted from 1,
    // and below which id nodes have them.
    alignas(cache_line) std::atomic<std::uint32_t> codes_wanted;
    std::atomic<std::uint32_t> codes_file;
    std::atomic<std::uint32_t> coded;
};

// The part of the ids one search looks at, fixed when it begins.
struct Watermarks {
    std::uint32_t linked = 0;
    std::uint32_t allocated = 0;
    EntryPoint entry_point;

    // Loads in the order that makes the three consistent: a reader that sees an entry point also
    // sees the `linked` stored before it, so the entry point is below `linked`, and `linked` is at
    // most `allocated`. An entry point older than `linked` is still a good place to start. Without
    // one nothing can be reached through links, so every id counts as tail.
    static Watermarks load(const SharedState &state) noexcept {
        Watermarks marks;
        marks.entry_point = EntryPoint::unpack(state.entry_point.load(std::memory_order_acquire));
        if (marks.entry_point.level >= 0)
            marks.linked = state.linked.load(std::memory_order_acquire);
        marks.allocated = state.allocated.load(std::memory_order_acquire);
        return marks;
    }
};

}  // namespace dvec::graph
