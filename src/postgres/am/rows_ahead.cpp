// The rows nearest to a query lie anywhere in the table. The executor fetches them one after
// another, each at the price of a chain of cache misses (buffer table, buffer descriptor, page,
// row) or of a read from disk. All of them are known when the first is returned, so the chains, and
// the reads, can go on side by side.
#include "postgres/am/rows_ahead.hpp"

#include <algorithm>

#include "postgres/bridge/heap.hpp"

namespace dvec::postgres {

namespace {

// With more rows than this, the first ones would have been evicted from the processor's first-level
// cache before they are used.
constexpr std::size_t most_rows = 32;

struct Place {
    const char *page;
    const ItemIdData *item;
};

// Where a row is in the buffer pool. The page is not pinned and may be replaced at any moment, so
// what is read there can only serve as a hint.
Place place_of(Buffer buffer, std::uint16_t offset) {
    const auto *page = static_cast<const char *>(BufferGetBlock(buffer));
    return {page, reinterpret_cast<const ItemIdData *>(page + SizeOfPageHeaderData) + offset - 1};
}

}  // namespace

void fetch_rows_ahead(Relation heap, const graph::Search &search, uint64 rows) {
    if (heap == nullptr || rows < 2 || effective_io_concurrency == 0)
        return;
    graph::Tid tids[most_rows];
    const std::size_t count = search.likely_next(tids, std::min<std::size_t>(rows - 1, most_rows));
    Place places[most_rows];
    std::size_t present = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const Buffer buffer = PrefetchBuffer(heap, MAIN_FORKNUM, tids[i].block).recent_buffer;
        if (buffer <= 0)
            continue;
        __builtin_prefetch(GetBufferDescriptor(static_cast<uint32>(buffer - 1)), 1);
        const Place place = place_of(buffer, tids[i].offset);
        __builtin_prefetch(place.page);
        __builtin_prefetch(place.item);
        places[present++] = place;
    }
    // The address is computed from a line pointer that may be garbage, but it is inside the pool or
    // a little behind it, and prefetching an invalid address has no effect.
    for (std::size_t i = 0; i < present; ++i)
        __builtin_prefetch(places[i].page + places[i].item->lp_off);
}

}  // namespace dvec::postgres
