// Rows of a search that are measured in the table, one after the other.
#pragma once

#include "engine/graph/search.hpp"
#include "postgres/am/heap_row_reader.hpp"

namespace dvec::postgres {

// Everything here may raise an ERROR, so callers hold only trivially destructible objects
// (guard.hpp), and this is such an object.
class TableReading {
  public:
    // For hits of this search, in the current memory context; scan, search and context must last as
    // long as the object. So many rows more are probably read than are returned.
    TableReading(IndexScanDesc scan, const graph::Search &search, uint64 in_addition)
        : scan_(scan),
          search_(&search),
          context_(CurrentMemoryContext),
          in_addition_(in_addition) {}

    // As HeapRowReader::measure. With the first row those are requested that probably follow.
    bool measure(graph::Tid tid, double *distance);

    uint64 rows_read() const { return rows_read_; }

  private:
    void begin(graph::Tid first);

    IndexScanDesc scan_;
    const graph::Search *search_;
    MemoryContext context_;
    uint64 in_addition_;
    HeapRowReader *reader_ = nullptr;  // once a row is to be read
    uint64 rows_read_ = 0;
};

}  // namespace dvec::postgres
