// Maintains every ready index: links its tail, syncs its log, takes its checkpoints, scrubs and
// compacts it. Runs in the dvec worker only.
#pragma once

#include <atomic>

namespace dvec::postgres {

// Closes the files of all indexes: this process maintains them no longer.
void close_maintained_indexes() noexcept;

// One round over all indexes. Returns how many milliseconds nothing more needs to be done, 0 when
// there is work at once. Linking stops early when `stop` becomes true. Failures are reported to the
// server's log, and the index is not maintained again for a while.
long maintain_all(const std::atomic<bool> &stop);

// Whether a session waits for linking or flushing, or soon will.
bool maintenance_is_urgent();

// Checkpoints every index as clean. Nobody may be using one any more.
void checkpoint_all_clean();

}  // namespace dvec::postgres
