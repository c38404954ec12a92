// The rows on some pages of a table, by the distance that a scan orders by, read in the table
// itself under the scan's snapshot: what an index on a standby does not have yet, or all of the
// table where the index cannot be searched at all. The same rows that an index has, under the same
// TIDs.
//
// Everything here may raise an ERROR, so callers hold only trivially destructible objects
// (guard.hpp). Memory is of the context that is current when it is made.
#pragma once

#include <limits>
#include <optional>

#include "engine/graph/search.hpp"
#include "postgres/bridge/access_method.hpp"
#include "postgres/runtime/registry.hpp"

namespace dvec::postgres {

class HeapRows {
  public:
    // The id of hits here, which have none in the index.
    static constexpr graph::NodeId no_node = std::numeric_limits<graph::NodeId>::max();

    // Reads these pages, which are ascending and stay where they are, each from a line pointer on.
    // Some may be beyond the table's end. The scan has its order key.
    static HeapRows *read(IndexScanDesc scan, const PageBehind *pages, uint32 count);
    static HeapRows *read_all(IndexScanDesc scan);

    // Whether this is of what was read, or beyond the table's end: what the index has there is not
    // to be returned.
    bool covers(graph::Tid tid) const noexcept;
    bool covers_none() const noexcept { return page_count_ == 0; }

    // The nearest that was not taken yet.
    std::optional<graph::Hit> head() const noexcept;
    void take() noexcept { ++taken_; }

    uint64 count() const noexcept { return count_; }

  private:
    struct Row {
        double distance;
        graph::Tid tid;
    };

    HeapRows() = default;
    void read_page(class HeapRowReader *reader, PageBehind page);
    void add(Row row);
    void finish();

    const PageBehind *pages_ = nullptr;  // ascending
    uint32 page_count_ = 0;
    BlockNumber table_pages_ = 0;
    Row *rows_ = nullptr;  // by distance, once all are read
    uint64 count_ = 0;
    uint64 room_ = 0;
    uint64 taken_ = 0;
};

}  // namespace dvec::postgres
