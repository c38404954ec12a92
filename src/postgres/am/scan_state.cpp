#include "postgres/am/scan_state.hpp"

#include <utility>

#include <array>

#include "engine/base/never_destroyed.hpp"

namespace dvec::postgres {

namespace {

// The memory of searches, kept by the session from one query to the next: allocating and clearing
// anew costs some microseconds each time. A query of a partitioned table has one for each
// partition. What would go beyond the bound for all of them is given back, as what a scan that went
// far has grown.
constexpr std::size_t most_kept_bytes = std::size_t{1} << 20;
constexpr std::size_t most_kept = 64;

struct SpareSearches {
    std::array<std::unique_ptr<graph::Search>, most_kept> searches;
    std::size_t count = 0;
    std::size_t bytes = 0;

    void keep(std::unique_ptr<graph::Search> search) noexcept {
        const std::size_t more = search ? search->memory_bytes() : most_kept_bytes + 1;
        if (count == most_kept || bytes + more > most_kept_bytes)
            return;
        bytes += more;
        searches[count++] = std::move(search);
    }
    // The one that was kept last, whose memory is most likely in the cache; null where none is.
    std::unique_ptr<graph::Search> take() noexcept {
        if (count == 0)
            return nullptr;
        std::unique_ptr<graph::Search> search = std::move(searches[--count]);
        bytes -= search->memory_bytes();
        return search;
    }
};

SpareSearches &spare_searches() noexcept {
    static base::NeverDestroyed<SpareSearches> spare;
    return *spare;
}

uint64 last_returned = 0;

// Scans end with their portal even when end_scan is never called: the memory goes with the context.
void destroy_scan(void *scan) { delete static_cast<OpenScan *>(scan); }

}  // namespace

graph::SearchStatistics OpenScan::statistics() const {
    graph::SearchStatistics all;
    if (measured)
        all = measured->statistics();
    else if (search)
        all = search->statistics();
    else
        all.exact = true;
    all.distances += heap_row_count;
    all.scanned += heap_row_count;
    return all;
}

// How wide a walk was, or would be, says nothing of a search that measures all rows.
SearchCounts OpenScan::counts_of_started() const {
    const bool walks = search && terms.exact_after > 0;
    SearchCounts counts =
        counts_of_search(statistics(), returned, walks ? static_cast<uint64>(terms.ef) : 0);
    if (exactly_measured > 0)
        counts.estimates += std::exchange(counts.distances, exactly_measured);
    return counts;
}

SearchCounts OpenScan::counts() const noexcept {
    SearchCounts all = ended;
    if (started)
        all.add(counts_of_started());
    return all;
}

void OpenScan::release() noexcept {
    if (started) {
        const SearchCounts counts = counts_of_started();
        ended.add(counts);
        if (open != nullptr && in_use(*open->entry, open->incarnation))
            open->entry->counters.add(counts);
        last_returned = returned;
    }
    if (open != nullptr)
        unpin(open);
    open = nullptr;
    started = false;
    measured.reset();
    order.reset();
    heap_rows = nullptr;
    heap_row_count = 0;
    exactly_measured = 0;
    knows_indexed = false;
    spare_searches().keep(std::move(search));
    filter.reset();
}

void OpenScan::finish() noexcept {
    release();
    note_searches(index, ended, time);
    ended = SearchCounts();
}

OpenScan *new_scan(Oid index) {
    auto *callback = static_cast<MemoryContextCallback *>(palloc0(sizeof(MemoryContextCallback)));
    MemoryContext query_context =
        AllocSetContextCreate(CurrentMemoryContext, "dvec query", ALLOCSET_SMALL_SIZES);
    auto *scan = new OpenScan;
    scan->query_context = query_context;
    scan->index = index;
    scan->time.prepare();
    callback->func = destroy_scan;
    callback->arg = scan;
    MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
    return scan;
}

OpenScan *scan_of(IndexScanDesc descriptor) { return static_cast<OpenScan *>(descriptor->opaque); }

std::unique_ptr<graph::Search> take_search() {
    std::unique_ptr<graph::Search> spare = spare_searches().take();
    return spare ? std::move(spare) : std::make_unique<graph::Search>();
}

uint64 rows_of_last_scan() noexcept { return last_returned; }

}  // namespace dvec::postgres
