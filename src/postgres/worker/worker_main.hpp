// The dvec worker: the background process that links new rows into the graphs, flushes the sidecar
// logs, takes checkpoints and sweeps up after dropped indexes.
#pragma once

namespace dvec::postgres {

// Registers the worker with the postmaster; called while it loads its preloaded libraries.
void worker_init();

}  // namespace dvec::postgres
