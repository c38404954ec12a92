// What the processes of a standby share about an index there, which one of them, the follower
// (replica/follower.cpp), keeps in agreement with the table while WAL is replayed.
//
// A followed index is always a little behind, and the registry says by which pages: at every moment
// it has the rows of all pages of the table but those *behind*, as of WAL up to `read_to`; of each
// of those it has what is below a line pointer. A search adds the pages that rows have come to
// since (repair/wal_changes), leaves out what the index has there, and reads it in the table
// instead (am/heap_rows).
//
// Here is also what ends this, for all indexes at once: the promotion.
#pragma once

#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

// A search may find so much WAL that the follower has not read yet, and reads it itself. Where it
// is more, the table is searched instead.
inline constexpr uint64 most_unread_wal = uint64{16} << 20;

// How many pages of one table may be behind; 0 where the server was not started to follow another.
uint32 most_pages_behind() noexcept;

// ---- The follower's side ----------------------------------------------------------------------

// An entry as its follower has it. What he tells of it is of no effect when it is another index's
// by now, or was opened anew.
struct FollowedEntry {
    IndexEntry *entry;
    uint64 incarnation;
};

struct FollowingStart {
    IndexFile heap;
    XLogRecPtr read_to;  // from here on the caller tells of the pages that WAL touches
    XLogRecPtr safe;     // the index has everything of before; 0: nothing is known of it
};
// The caller has the entry for himself (repairing), and is its follower from now on. No page was
// read yet. Ends with the entry being ready.
void begin_following(IndexEntry *entry, const FollowingStart &start) noexcept;
// Makes the caller the follower of an index that has none, because he has ended. False when it has.
bool resume_following(const FollowedEntry &followed) noexcept;
// When the caller ends.
void end_following() noexcept;

// The table has another file than before: every page has to be read again.
void begin_following_again(const FollowedEntry &followed, const IndexFile &heap) noexcept;
// WAL was read up to `read_to`, and rows have come to these pages since the index has read them.
// They may be behind already. False when they are too many: then every page counts as behind.
bool add_pages_behind(const FollowedEntry &followed, std::span<const PageBehind> pages,
                      XLogRecPtr read_to) noexcept;
// WAL could not be read any further: every page counts as behind until all that have an LSN from
// `safe` on were read. The caller goes on at `read_to`.
void lose_track(const FollowedEntry &followed, XLogRecPtr read_to) noexcept;
// The index has these pages, which are ascending, as they are.
void remove_pages_behind(const FollowedEntry &followed, std::span<const PageBehind> pages) noexcept;
// The index has everything of before `safe`, the end of rows included that need no page to be
// behind.
void advance_safe(const FollowedEntry &followed, XLogRecPtr safe) noexcept;
// All pages were read, but those behind. Only now the index is searched.
void complete_following(const FollowedEntry &followed) noexcept;

struct PagesBehind {
    bool complete;
    XLogRecPtr read_to;
    XLogRecPtr safe;
    IndexFile heap;
    uint32 count;
};
// For who has the index open under `incarnation`; not complete, with all zero, when that is past.
// `pages` has room for most_pages_behind().
PagesBehind pages_behind(const IndexEntry &entry, uint64 incarnation, PageBehind *pages) noexcept;

struct FollowedTo {
    bool complete;
    XLogRecPtr read_to;
    XLogRecPtr safe;  // the index has everything of before; 0 while a first pass is under way
    uint32 pages_behind;
};
FollowedTo followed_to(const IndexEntry &entry) noexcept;

// ---- For queries ------------------------------------------------------------------------------

// Whether queries of a standby should be planned with the index: it is followed, and closely.
bool is_followed_closely(const IndexFile &file) noexcept;

// ---- Promotion --------------------------------------------------------------------------------

// Where the server is a standby no more, followed indexes become what they are on any other server,
// once they have read the pages that are behind: each needs that repair from now on. To be called
// before an entry is looked at for whatever purpose; cheap.
void settle_promotion() noexcept;

}  // namespace dvec::postgres
