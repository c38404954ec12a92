// What happens when an index is opened for the first time since the server started: decide from the
// checkpoint how far the folder can be believed, bring it up to date from the log, and fill in the
// shared state. The heap is not read here. When the folder cannot be believed, the answer says so,
// and the caller, who can read the heap, repairs the index (store/reconciler.hpp) or builds it
// anew.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/file.hpp"
#include "engine/log/reader.hpp"
#include "engine/store/description.hpp"
#include "engine/store/shared_state.hpp"
#include "engine/store/wal_history.hpp"

namespace dvec::store {

enum class Start : std::uint8_t {
    clean,     // nothing had to be done
    replayed,  // the log was applied; what it touched is the tail now
    repair,    // likewise, but rows may be missing: SharedState::repair says what has to be done
    rebuild    // missing, foreign or unreadable: everything has to come from the heap
};

struct StartReport {
    Start start = Start::rebuild;
    std::string reason;         // why a repair or rebuild is needed, in words
    std::uint64_t records = 0;  // read from the log
    std::uint64_t dropped = 0;  // of them, of rows that PostgreSQL lost in a crash
    std::uint64_t holes = 0;    // ids whose payload did not survive
    std::vector<log::Damage> damage;
};

// `history` tells which log records belong to rows that did not survive. One caller at a time,
// before anybody uses the index; `state` is all zero. An error means that the start could not be
// decided (I/O, memory) and may be tried again, with `state` zeroed.
base::Result<StartReport> recover(base::FileSystem &file_system, const Description &description,
                                  SharedState &state, Locks locks, const WalHistory &history);

}  // namespace dvec::store
