// The rows that a VectorSearch has handed out from the index, by TID, so that the exact search that
// continues it does not hand them out again.
#pragma once

#include "postgres/bridge/heap.hpp"

namespace dvec::postgres {

// Plain data. The TIDs are in the memory context that the first one was added with; who resets that
// begins with new ReturnedRows.
class ReturnedRows {
  public:
    void add(const ItemPointerData &tid, MemoryContext memory);
    // All of them; the memory is kept.
    void forget() { count_ = 0; }
    // Whether they take what work_mem allows. More can be added all the same.
    bool is_full() const;
    // To be called when the last one was added, before contains().
    void sort();

    bool is_empty() const { return count_ == 0; }
    bool contains(const ItemPointerData &tid) const;

  private:
    ItemPointerData *tids_ = nullptr;
    Size count_ = 0;
    Size room_ = 0;
};

}  // namespace dvec::postgres
