// What the worker does for each index: link its tail, flush its log, take its checkpoints. Runs in
// the worker process only.
#pragma once

#include <atomic>

namespace dvec::postgres {

// Closes the files of all indexes, at the end of this process's care for them.
void let_go_of_all() noexcept;

// One round over all indexes. Returns how many milliseconds nothing more needs to be done, 0 when
// there is work at once. Linking stops early when `stop` becomes true. Failures are reported to the
// server's log and the index concerned is left alone for a while.
long care_for_all(const std::atomic<bool> &stop);

// Whether a session waits for linking or flushing, or soon will.
bool caretaker_has_urgent_work();

// Checkpoints every index as clean. Nobody may be using one any more.
void close_all_clean();

}  // namespace dvec::postgres
