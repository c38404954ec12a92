#include "postgres/am/scan_start.hpp"

#include <cmath>
#include <limits>
#include <optional>

#include "postgres/am/attempt.hpp"
#include "postgres/am/cut_distance.hpp"
#include "postgres/am/scan_filter.hpp"
#include "postgres/am/standby_search.hpp"
#include "postgres/am/table_distance.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/shared_memory.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/relation/compact_rows.hpp"
#include "postgres/relation/opclass.hpp"
#include "postgres/repair/open_relation.hpp"
#include "postgres/runtime/settings.hpp"

namespace dvec::postgres {

namespace {

void check_can_search(IndexScanDesc descriptor) {
    if (descriptor->numberOfOrderBys == 0)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("cannot scan %s index without order",
                               method_name(descriptor->indexRelation))));
    // Rows vacuum removed while the scan goes on may be replaced by others under the same TID; only
    // an MVCC snapshot is sure not to see those.
    if (!IsMVCCSnapshot(descriptor->xs_snapshot))
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("non-MVCC snapshots are not supported with %s",
                               method_name(descriptor->indexRelation))));
}

struct Query {
    ScanKey key;
    const IndexSupport *support;
    int dimensions;
    IndexSupport::Encoded encoded;  // null bytes: no kernel can measure it
    bool compact;                   // as the rows of the index are
    bool foreign;                   // its operator is not the one the index's kernels are made for
};

// A NULL query is as far from every row: any vector will do.
Query query_of(IndexScanDesc descriptor, const OpenIndex &open) {
    const ScanKey key = &descriptor->orderByData[0];
    const IndexSupport &support = *index_support(descriptor->indexRelation);
    const store::Shape &shape = open.entry->shape;
    const auto dimensions = static_cast<int>(shape.dimensions);
    Query query{
        key, &support, dimensions, {}, stored_bits(shape) != 0, is_foreign_operator(key, support)};
    if ((key->sk_flags & SK_ISNULL) != 0) {
        const distance::Kernel kernel = shape.kernel()->of_queries();
        query.encoded = {dimensions, palloc0(kernel.query_bytes(shape.dimensions))};
        return query;
    }
    query.encoded = encode_query(support, dimensions, key->sk_argument);
    if (query.compact)
        query.encoded.bytes =
            make_compact(support, dimensions, query.encoded.bytes, distance::bits_of_queries);
    else if (support.fit != nullptr)
        query.encoded.bytes =
            support.fit(support, query.encoded, shape.element, IndexSupport::Use::query);
    return query;
}

// By another's operator nothing may be missed where the order is to be exact, and what our kernels
// find near says that only roughly.
bool must_measure_rows(const OpenScan &scan, const Query &query) {
    return query.encoded.bytes == nullptr || (scan.is_exact() && query.foreign);
}

// In the scan's query context.
void begin_filter(OpenScan *scan, IndexScanDesc descriptor) {
    const ScanConditions conditions = scan_conditions(descriptor);
    scan->filter = row_filter(conditions);
    scan->recheck = conditions.lossy;
}

Attempt begin_search(OpenScan *scan, const OpenIndex &open, const void *query) {
    store::Index::SearchParams params;
    params.ef = static_cast<uint32>(scan->terms.ef);
    params.exact_after = scan->terms.exact_after;
    params.rest = scan->terms.rest;
    if (scan->is_exact()) {
        params.count_within = scan->guide->farthest;
    } else if (scan->guide != nullptr) {
        params.wanted_within = scan->terms.wanted_within;
        params.farthest_wanted = scan->guide->farthest;
    }
    params.filter = scan->filter.get();
    params.link_codes = scan->terms.link_codes;
    params.memory_bytes = std::size_t{1024} * static_cast<unsigned>(settings::filter_memory_kb);
    params.interrupted = interruption_pending;
    if (!scan->search)
        scan->search = take_search();
    return attempt([&] { return open.index->search(*scan->search, query, params); });
}

Attempt begin_measuring(OpenScan *scan, const OpenIndex &open) {
    const double farthest =
        scan->is_exact() ? scan->guide->farthest : std::numeric_limits<double>::quiet_NaN();
    return attempt([&]() -> base::Status {
        auto measured = MeasuredRows::of(*open.index, scan->filter.get(), farthest);
        DVEC_TRY(measured);
        scan->measured = std::move(measured).value();
        return {};
    });
}

// In the scan's query context.
Attempt begin_rows(IndexScanDesc descriptor, const OpenIndex &open, const Query &query,
                   uint64 entries) {
    OpenScan *scan = scan_of(descriptor);
    const bool measures = must_measure_rows(*scan, query);
    const store::Shape &shape = open.entry->shape;
    if (holds_less(shape) && !scan->search)
        scan->search = take_search();
    if (query.compact) {
        scan->row_distance = TableDistance::of(descriptor, shape, query.encoded.bytes,
                                               *scan->search, scan->terms, entries);
    } else if (holds_less(shape)) {
        scan->row_distance = CutDistance::of(descriptor, shape, query.encoded.bytes, *scan->search);
    } else if (measures || query.foreign) {
        scan->row_distance = scan->operator_distance =
            OperatorDistance::of(query.key, *query.support, query.dimensions);
    }
    // A bound on its distances says nothing of ours.
    if (query.foreign)
        scan->terms.wanted_within = 0;
    if (measures)
        return begin_measuring(scan, open);
    if (scan->row_distance != nullptr)
        scan->order = std::make_unique<OperatorOrder>();
    return begin_search(scan, open, query.encoded.bytes);
}

// In the scan's query context.
SearchPlace find_place(IndexScanDesc descriptor) {
    if (RecoveryInProgress())
        return find_on_standby(descriptor);
    return {open_relation(descriptor->indexRelation), nullptr};
}

// The query, unless the table is to be asked it. Where nothing may be missed, an index with less
// than the vectors tells nothing that the table does not tell.
std::optional<Query> query_for_index(IndexScanDesc descriptor, const OpenIndex &open) {
    const bool less = holds_less(open.entry->shape);
    if (less && scan_of(descriptor)->is_exact())
        return std::nullopt;
    const Query query = query_of(descriptor, open);
    if (less && query.encoded.bytes == nullptr)
        return std::nullopt;
    return query;
}

void set_terms(IndexScanDesc descriptor, uint64 entries) {
    OpenScan *scan = scan_of(descriptor);
    Relation index = descriptor->indexRelation;
    if (!scan->limit)
        scan->limit = limit_above(descriptor);
    scan->terms = scan_terms(index, rows_wanted(*scan->limit, index), entries, scan->guide);
}

Attempt start_in_files(IndexScanDesc descriptor) {
    OpenScan *scan = scan_of(descriptor);
    scan->returned = 0;
    scan->left_late_out = false;
    MemoryContextReset(scan->query_context);
    scan->operator_distance = nullptr;
    scan->row_distance = nullptr;
    const MemoryContext caller = MemoryContextSwitchTo(scan->query_context);
    begin_filter(scan, descriptor);
    SearchPlace place = find_place(descriptor);
    std::optional<Query> query;
    if (place.open != nullptr) {
        query = query_for_index(descriptor, *place.open);
        if (!query)
            place = {nullptr, HeapRows::read_all(descriptor)};
    }
    scan->heap_rows = place.rows;
    scan->heap_row_count = place.rows == nullptr ? 0 : place.rows->count();
    OpenIndex *open = place.open;
    if (open == nullptr) {
        MemoryContextSwitchTo(caller);
        set_terms(descriptor, place.rows->count());
        scan->started = true;
        return Attempt::done;
    }
    const uint64 entries = open->index->state().graph.allocated.load(std::memory_order_relaxed);
    set_terms(descriptor, entries);
    const Attempt begun = begin_rows(descriptor, *open, *query, entries);
    MemoryContextSwitchTo(caller);
    if (begun == Attempt::files_replaced)
        return begun;
    pin(open);
    scan->open = open;
    scan->started = true;
    open->entry->scans.fetch_add(1, std::memory_order_relaxed);
    open->entry->last_scan.store(static_cast<uint64>(GetCurrentStatementStartTimestamp()),
                                 std::memory_order_relaxed);
    if (scan->measured && scan->is_exact() && !std::isnan(scan->guide->farthest))
        scan->measured->sample(*scan->operator_distance);
    return Attempt::done;
}

}  // namespace

void start_search(IndexScanDesc descriptor) {
    check_can_search(descriptor);
    pgstat_count_index_scan(descriptor->indexRelation);
    while (start_in_files(descriptor) == Attempt::files_replaced)
        CHECK_FOR_INTERRUPTS();
}

}  // namespace dvec::postgres
