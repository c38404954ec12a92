#include "postgres/am/scan_state.hpp"

namespace dvec::postgres {

namespace {

// A search's memory, kept by the session from one scan to the next: most queries scan once, and
// allocating and clearing anew costs some two microseconds each time. What a scan that went far has
// grown beyond the bound is given back.
constexpr std::size_t most_kept_bytes = std::size_t{1} << 20;
std::unique_ptr<graph::Search> spare_search;

void keep_search(std::unique_ptr<graph::Search> search) noexcept {
    if (search && search->memory_bytes() <= most_kept_bytes)
        spare_search = std::move(search);
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
    return counts_of_search(statistics(), returned, walks ? static_cast<uint64>(terms.ef) : 0);
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
    knows_indexed = false;
    keep_search(std::move(search));
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
    return spare_search ? std::move(spare_search) : std::make_unique<graph::Search>();
}

uint64 rows_of_last_scan() noexcept { return last_returned; }

}  // namespace dvec::postgres
