// SELECT ... ORDER BY column <-> query: rows in order of distance, one at a time, for as long as
// the executor asks. The search runs in this process on the mapped files, without locks.
#include "postgres/am/callbacks.hpp"
#include "postgres/am/rows_ahead.hpp"
#include "postgres/am/scan_rows.hpp"
#include "postgres/am/scan_start.hpp"
#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/relation/item_pointer.hpp"

namespace dvec::postgres {

IndexScanDesc begin_scan(Relation index, int key_count, int order_by_count) {
    return guarded([=] {
        IndexScanDesc descriptor = RelationGetIndexScan(index, key_count, order_by_count);
        descriptor->opaque = new_scan(RelationGetRelid(index));
        return descriptor;
    });
}

void rescan(IndexScanDesc descriptor, ScanKey keys, int, ScanKey order_bys, int) {
    guarded([=] {
        OpenScan *scan = scan_of(descriptor);
        scan->release();
        if (scan->guide != nullptr)
            scan->guide->forget_scan();
        if (keys != nullptr && descriptor->numberOfKeys > 0)
            std::memmove(descriptor->keyData, keys,
                         sizeof(ScanKeyData) * static_cast<Size>(descriptor->numberOfKeys));
        if (order_bys != nullptr && descriptor->numberOfOrderBys > 0)
            std::memmove(descriptor->orderByData, order_bys,
                         sizeof(ScanKeyData) * static_cast<Size>(descriptor->numberOfOrderBys));
    });
}

bool next_tuple(IndexScanDesc descriptor, ScanDirection) {
    return guarded([=] {
        OpenScan *scan = scan_of(descriptor);
        scan->time.begin();
        if (!scan->started)
            start_search(descriptor);
        const std::optional<graph::Hit> hit = next_hit(scan);
        scan->time.end();
        if (!hit)
            return false;
        if (scan->returned == 1 && scan->search &&
            (scan->heap_rows == nullptr || scan->heap_rows->covers_none()))
            fetch_rows_ahead(descriptor->heapRelation, *scan->search, rows_of_last_scan());
        descriptor->xs_heaptid = item_pointer(hit->tid);
        descriptor->xs_recheck = scan->recheck || (scan->filter && hit->id == HeapRows::no_node);
        descriptor->xs_recheckorderby = false;
        return true;
    });
}

void guide_scan(IndexScanDesc descriptor, ScanGuide *guide) { scan_of(descriptor)->guide = guide; }

double distance_of_last_row(IndexScanDesc descriptor) { return scan_of(descriptor)->farthest; }

SearchCounts search_counts(IndexScanDesc descriptor) { return scan_of(descriptor)->counts(); }

void end_scan(IndexScanDesc descriptor) {
    guarded([=] {
        OpenScan *scan = scan_of(descriptor);
        scan->release();
        log_searches(descriptor->indexRelation, scan->ended, scan->time);
        scan->finish();
    });
}

}  // namespace dvec::postgres
