// The nodes of an index whose rows are in its table, as far as the index knows.
#pragma once

#include <cstdint>

#include "engine/base/status.hpp"
#include "engine/graph/node_store.hpp"

namespace dvec::store {

inline constexpr graph::NodeId nodes_between_polls = 4096;

// Calls `use` with the id and the TID of each live node below `end`, which the mapping of `nodes`
// must cover, in order of ids. `interrupted` is polled; Code::interrupted then.
template <class Use>
base::Status for_each_live(const graph::NodeStore &nodes, graph::NodeId end, bool (*interrupted)(),
                           const Use &use) {
    for (graph::NodeId id = 0; id < end; ++id) {
        if (id % nodes_between_polls == 0 && interrupted != nullptr && interrupted())
            return base::Status(base::Code::interrupted, "reading the nodes was stopped");
        const std::uint64_t state = nodes.state(id);
        if (graph::is_live(state))
            use(id, graph::state_tid(state));
    }
    return {};
}

}  // namespace dvec::store
