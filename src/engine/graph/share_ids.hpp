// Threads that work through ids together: each takes the next one when it is done with its last.
#pragma once

#include <atomic>
#include <mutex>
#include <utility>

#include "engine/base/status.hpp"
#include "engine/graph/format.hpp"
#include "engine/graph/thread_pool.hpp"

namespace dvec::graph {

// Below so many ids per thread, waking a thread costs more than it brings.
inline constexpr NodeId ids_per_thread = 4;

// Calls work(id, worker), which returns a Status, once for each id from `first` up to `end` (not
// below `first`). Ids are taken in order; `worker` is as in ThreadPool::run. An id that was taken
// is worked on to its end. When a call fails or throws no more ids are taken, and the answer is its
// failure; likewise when `stop` becomes true, and the answer is Code::interrupted if ids are left.
template <class Work>
base::Status share_ids(ThreadPool &pool, NodeId first, NodeId end, const std::atomic<bool> &stop,
                       Work work) {
    std::atomic<NodeId> next{first};
    std::atomic<bool> failed{false};
    std::mutex failure_mutex;
    base::Status failure;
    pool.run((end - first) / ids_per_thread, [&](unsigned worker) {
        base::Status status = base::guarded([&]() -> base::Status {
            while (!stop.load(std::memory_order_relaxed) &&
                   !failed.load(std::memory_order_relaxed)) {
                const NodeId id = next.fetch_add(1, std::memory_order_relaxed);
                if (id >= end)
                    break;
                DVEC_TRY(work(id, worker));
            }
            return {};
        });
        if (status.ok())
            return;
        failed.store(true, std::memory_order_relaxed);
        const std::lock_guard hold(failure_mutex);
        failure = std::move(status);
    });
    DVEC_TRY(failure);
    if (next.load(std::memory_order_relaxed) < end)
        return base::Status(base::Code::interrupted, "work on nodes was stopped");
    return {};
}

}  // namespace dvec::graph
