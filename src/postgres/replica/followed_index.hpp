// One index as the follower of its database has it.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/store/block_reconciler.hpp"
#include "postgres/replica/vacuumed_pages.hpp"
#include "postgres/runtime/following.hpp"
#include "postgres/runtime/open_index.hpp"

namespace dvec::postgres {

struct FollowedIndex {
    IndexFile file;
    IndexFile heap;
    OpenIndex open;  // entry, incarnation, locks and the engine's index
    std::unique_ptr<store::BlockReconciler> reconciler;

    // What the registry says (following.hpp), as this process has written it.
    bool complete = false;
    XLogRecPtr read_to = 0;
    std::unordered_map<BlockNumber, OffsetNumber> behind;  // pages, each from a line pointer on
    // What no search has to know: entries there lead to no row.
    VacuumedPages vacuumed;
    XLogRecPtr round_from = 0;  // read_to when their present round began

    // Until it is complete: pages below were read. Pages with an LSN below `changed_since` need not
    // be.
    BlockNumber next_page = 0;
    XLogRecPtr changed_since = 0;
    uint64 added_in_pass = 0;  // rows
    // How long the table was when it was last read.
    BlockNumber table_pages = 0;

    std::vector<PageBehind> touched;  // by the WAL that is being read
    TimestampTz last_read = 0;        // of pages behind
    TimestampTz retry_at = 0;         // after a failure, nothing before
    int failures = 0;

    IndexEntry *entry() const noexcept { return open.entry; }
    FollowedEntry in_registry() const noexcept { return {open.entry, open.incarnation}; }
};

// Claims an index that needs a repair and begins to follow it; null when somebody else has it, or
// it failed (reported, and counted in the entry). Not in a transaction.
FollowedIndex *adopt(IndexEntry *entry, uint64 incarnation);
// Goes on where a follower before this one has ended; null when it has not. Throws where the files
// cannot be opened, as reopen() does: then this follower ends, and another tries.
FollowedIndex *resume(IndexEntry *entry, uint64 incarnation);
// Opens files anew that were replaced (by a compaction).
void reopen(FollowedIndex *followed);

// Reads pages of the table and makes the index have what is there, each page in a transaction or
// with a few others, so that nobody has to wait long for the locks and snapshots of this process,
// the replay least of all.
enum class Reading : unsigned char {
    done,
    moved,     // the table has another file by now: all its pages have to be read
    failed,    // reported
    replaced,  // the index's files were
};
Reading read_pages(FollowedIndex *followed, const std::vector<PageBehind> &pages);
// Only looks where line pointers are free: what the index has there it gives up.
Reading read_vacuumed_pages(FollowedIndex *followed, const std::vector<BlockNumber> &pages);
// The next pages of the first pass over all. `ended`: there are no more.
Reading read_next_pages(FollowedIndex *followed, bool *ended);

// Lets plans know that the index can be used.
void announce(const FollowedIndex &followed);

}  // namespace dvec::postgres
