// Waiting for an inserter that has been given a slot.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#include "engine/base/status.hpp"
#include "engine/graph/node_store.hpp"

namespace dvec::graph {

// Waits until a slot that was given out has its payload or is known to have none, and returns its
// flags. Code::interrupted when `stop` becomes true before that.
inline base::Result<std::uint16_t> await_payload(const NodeStore &nodes, NodeId id,
                                                 const std::atomic<bool> &stop) {
    for (unsigned tries = 0;; ++tries) {
        const std::uint16_t flags = state_flags(nodes.state(id));
        if ((flags & (slot_ready | slot_hole)) != 0)
            return flags;
        if (stop.load(std::memory_order_relaxed))
            return base::Status(base::Code::interrupted, "linking was stopped");
        // An inserter publishes within a microsecond unless it lost its processor.
        if (tries < 100)
            std::this_thread::yield();
        else
            std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
}

}  // namespace dvec::graph
