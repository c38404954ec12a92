// Checks an index while it is in use: every payload, every link, the log and the checkpoint.
// Changes nothing. Damage to a single byte anywhere is either found here or has no consequence.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "engine/store/index.hpp"

namespace dvec::store {

// Which part is damaged decides what has to be done.
enum class DamagedPart : std::uint8_t {
    payload,    // rows may be missing or wrong: Repair::every_page
    links,      // searches miss rows or are slower: SharedState::links_unsound
    log,        // what a crash would need: a checkpoint makes it unnecessary
    checkpoint  // likewise
};

struct Finding {
    DamagedPart part;
    std::string file;
    std::uint64_t offset;
    std::string problem;  // in words, to follow on the place
};

struct FileCheckCalls {
    std::function<void(const Finding &)> report;
    bool (*interrupted)() = nullptr;  // polled; Code::interrupted then
};

// Others may insert, remove, search and link meanwhile. Whether nodes can be reached is judged only
// when nothing is left to be linked; a single node that cannot be reached is reported only when the
// worker has made sure since that there is none. Reads all files once, and the level-0 links again
// for that. Memory: as graph::count_unreachable() takes. Code::stale when the files were replaced
// during the check.
base::Status check_files(Index &index, const FileCheckCalls &calls);

}  // namespace dvec::store
