// How a server process gets hold of an index: the first process after a server start recovers it,
// the others wait for that and then map the files. What was opened stays open in the process until
// the index is gone or was opened anew by someone.
#pragma once

#include <compare>
#include <memory>
#include <vector>

#include "engine/store/index.hpp"
#include "postgres/worker/registry.hpp"

namespace dvec::postgres {

// A row a rebuild took from the heap. The TID is packed: block << 16 | offset.
struct RebuiltRow {
    uint64 tid;
    uint32 node;
    auto operator<=>(const RebuiltRow &) const = default;
};

// An index as this process has it open. Lives in the process's table of open indexes; a pointer
// stays valid until the next open_index(), and longer while it is pinned.
struct OpenIndex {
    IndexEntry *entry = nullptr;
    uint64 generation = 0;
    int pins = 0;  // by scans in progress
    std::unique_ptr<EntryLock> append_lock;
    std::unique_ptr<EntryLock> grow_lock;
    std::unique_ptr<store::Index> index;
    // What a rebuild put in, by TID; filled by the first insert that has to ask (see
    // IndexEntry::rebuilt_before_xid).
    std::unique_ptr<std::vector<RebuiltRow>> rebuilt_rows;
};

// What only the access method knows about opening an index. Both may raise.
class IndexSource {
  public:
    virtual store::Shape shape() = 0;
    // Makes the sidecar of index `file` anew from the heap, replacing what is there. `shape` is
    // what shape() said.
    virtual void rebuild(const IndexFile &file, const store::Shape &shape) = 0;

  protected:
    ~IndexSource() = default;
};

// Opens the index stored in `file`, waiting for another process that is opening it, interruptibly.
// Raises on failure. To be called where no C++ object with a destructor is alive.
OpenIndex *open_index(const IndexFile &file, IndexSource &source);

// Whether this process has the index open and ready to use.
bool is_open_here(const IndexFile &file) noexcept;

// The kernel drops what it could not write, so after a failed sync trying again would only hide the
// loss. Nobody uses these files any more, and the next user of the index rebuilds them from the
// table. Does nothing when the entry has got another generation, that is, other files, already.
void give_up(IndexEntry *entry, uint64 generation) noexcept;

void pin(OpenIndex *index) noexcept;
void unpin(OpenIndex *index) noexcept;

}  // namespace dvec::postgres
