// Looks an index over while it is in use: every payload, every link, the log and the checkpoint.
// Changes nothing. Damage of one byte anywhere is either found here or without consequence.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "engine/store/index.hpp"

namespace dvec::store {

// What is damaged decides what has to be done.
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

// Others may insert, remove, search and link meanwhile; whether every node can be reached is judged
// only when nothing is left to be linked, and to the last one when that was made sure since. Reads
// all files once, the level-0 links three times. Memory: 9 bits per node. Code::stale when the
// files were replaced during the check.
base::Status check_files(Index &index, const FileCheckCalls &calls);

}  // namespace dvec::store
