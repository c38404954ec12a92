// What is sure to be there of everything that was written to the files of a folder, judged by where
// and when the files were last written. This alone decides what a start has to look at.
#pragma once

#include <cstdint>

#include "engine/base/file.hpp"
#include "engine/graph/node_store.hpp"
#include "engine/store/checkpoint.hpp"
#include "engine/store/wal_history.hpp"

namespace dvec::store {

enum class Survived : std::uint8_t {
    // Only what carries a checksum: the files are copies, or were changed by somebody else, or the
    // table changed without them. They may be of several moments.
    checksummed,
    // What was synced: the machine went down, or the file system was unmounted. Pages written since
    // may be old, new or torn.
    synced,
    // Every byte that was stored: only processes died, the page cache lived on.
    written,
    // Every byte, and nothing was written since the checkpoint.
    clean
};

struct Survival {
    Survived survived = Survived::checksummed;
    const char *reason = "";  // why it is not more, in words
    // The table has changed without the index, on pages that WAL since S tells of.
    bool followed = false;
};

// A checkpoint, and the index for which it was found.
struct FoundCheckpoint {
    const CheckpointRecord &record;
    const Owner &owner;
};

// `nodes` is the open node store of the checkpoint's generation.
base::Result<Survival> survival_of(base::FileSystem &file_system, graph::NodeStore &nodes,
                                   const FoundCheckpoint &found, const WalHistory &history);

}  // namespace dvec::store
