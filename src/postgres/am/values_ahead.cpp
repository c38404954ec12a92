// Where a value is stored out of line, its row knows by which number, and the index of the TOAST
// table under which line pointers its pieces are. Both are looked up once more when the value is
// read; that is little beside a read from the disk, and too much where everything is in memory.
#include "postgres/am/values_ahead.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "postgres/am/rows_ahead.hpp"
#include "postgres/bridge/heap.hpp"

namespace dvec::postgres {

namespace {

constexpr std::size_t most_rows = 32;

// Whether the process has read from the disk since this was last asked; true when it never was.
bool has_read_from_disk() {
    static long before = -1;
    rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return false;
    return std::exchange(before, usage.ru_inblock) != usage.ru_inblock;
}

// The snapshot is one that takes no notice of transactions, as that of reading a value is: nothing
// is returned from here, and no other transaction must be told that it was read.
void request_pieces(Relation toast, Relation index, const Oid *values, std::size_t count) {
    IndexScanDesc scan = compat::begin_index_scan(toast, index, SnapshotAny, 1);
    for (std::size_t i = 0; i < count; ++i) {
        ScanKeyData key;
        ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(values[i]));
        index_rescan(scan, &key, 1, nullptr, 0);
        while (const ItemPointerData *piece = index_getnext_tid(scan, ForwardScanDirection))
            (void)PrefetchBuffer(toast, MAIN_FORKNUM, ItemPointerGetBlockNumber(piece));
    }
    index_endscan(scan);
}

void request_values(Relation heap, const Oid *values, std::size_t count) {
    Relation toast = table_open(heap->rd_rel->reltoastrelid, AccessShareLock);
    Relation *indexes = nullptr;
    int index_count = 0;
    const int valid = toast_open_indexes(toast, AccessShareLock, &indexes, &index_count);
    request_pieces(toast, indexes[valid], values, count);
    toast_close_indexes(indexes, index_count, AccessShareLock);
    table_close(toast, AccessShareLock);
}

}  // namespace

void fetch_values_ahead(HeapRowReader *reader, const graph::Search &search, graph::Tid first,
                        uint64 rows) {
    fetch_rows_ahead(reader->heap(), search, rows);
    if (!has_read_from_disk() || effective_io_concurrency == 0 ||
        !OidIsValid(reader->heap()->rd_rel->reltoastrelid))
        return;
    graph::Tid tids[most_rows] = {first};
    const std::size_t wanted = std::min<std::size_t>(rows, most_rows - 1);
    const std::size_t count = 1 + search.likely_next(tids + 1, wanted);
    Oid values[most_rows];
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; ++i) {
        values[found] = reader->value_out_of_line(tids[i]);
        found += OidIsValid(values[found]);
    }
    if (found > 1)
        request_values(reader->heap(), values, found);
}

}  // namespace dvec::postgres
