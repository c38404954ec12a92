// SELECT ... ORDER BY column <-> query: rows in order of distance, one at a time, for as long as
// the executor asks. The search runs in this process on the mapped files, without locks.
#include <memory>
#include <optional>

#include "engine/graph/row_filter.hpp"
#include "postgres/am/attempt.hpp"
#include "postgres/am/callbacks.hpp"
#include "postgres/am/last_searches.hpp"
#include "postgres/am/measured_rows.hpp"
#include "postgres/am/operator_distance.hpp"
#include "postgres/am/operator_order.hpp"
#include "postgres/am/rows_ahead.hpp"
#include "postgres/am/scan_filter.hpp"
#include "postgres/am/scan_guide.hpp"
#include "postgres/am/scan_terms.hpp"
#include "postgres/am/standby_search.hpp"
#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/bridge/shared_memory.hpp"
#include "postgres/bridge/wal.hpp"
#include "postgres/relation/item_pointer.hpp"
#include "postgres/relation/opclass.hpp"
#include "postgres/repair/open_relation.hpp"

namespace dvec::postgres {

namespace {

// A search's memory, kept by the session from one scan to the next: most queries scan once, and
// allocating and clearing anew costs some two microseconds each time. What a scan that went far has
// grown beyond the bound is given back.
constexpr std::size_t most_kept_bytes = std::size_t{1} << 20;
std::unique_ptr<graph::Search> spare_search;

std::unique_ptr<graph::Search> take_search() {
    return spare_search ? std::move(spare_search) : std::make_unique<graph::Search>();
}

void keep_search(std::unique_ptr<graph::Search> search) noexcept {
    if (search && search->memory_bytes() <= most_kept_bytes)
        spare_search = std::move(search);
}

// How many rows the session's last scan returned. The executor does not say how many it wants; most
// sessions want as many time and again.
uint64 rows_of_last_scan = 0;

// What a scan keeps between calls; owned by the scan's memory context, which runs its destructor.
struct Scan {
    std::unique_ptr<graph::RowFilter> filter;       // of the search; null without conditions
    std::unique_ptr<graph::Search> search;          // while one is under way
    std::unique_ptr<MeasuredRows> measured;         // in its place, where kernels cannot say
    std::unique_ptr<OperatorOrder> order;           // of the search's rows, by another's operator
    OpenIndex *open = nullptr;                      // pinned while a search is under way
    MemoryContext query_context = nullptr;          // of the query, from start to start
    OperatorDistance *operator_distance = nullptr;  // there; for `measured` and `order`
    HeapRows *heap_rows = nullptr;      // there; of the pages that the index is behind by
    std::optional<graph::Hit> indexed;  // beside these, the next row of the index
    bool knows_indexed = false;         // whether it was looked for
    uint64 heap_row_count = 0;          // known after the context of these has gone
    bool started = false;
    bool recheck = false;  // the filter may admit rows that do not satisfy the conditions
    ScanTerms terms{};
    ScanGuide *guide = nullptr;  // the caller's, or none
    uint64 returned = 0;         // rows
    double farthest = 0;         // distance of the last of them
    Oid index = InvalidOid;
    SearchCounts ended;  // of the searches before the one under way
    SearchTime time;     // of all of them

    ~Scan() { finish(); }

    graph::SearchStatistics statistics() const {
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

    SearchCounts counts() const noexcept {
        SearchCounts all = ended;
        if (started)
            all.add(counts_of_search(statistics(), returned));
        return all;
    }

    void release() noexcept {
        if (started) {
            const SearchCounts counts = counts_of_search(statistics(), returned);
            ended.add(counts);
            if (open != nullptr && in_use(*open->entry, open->incarnation))
                open->entry->counters.add(counts);
            rows_of_last_scan = returned;
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

    // After the last search; whoever comes second finds nothing to do.
    void finish() noexcept {
        release();
        note_searches(index, ended, time);
        ended = SearchCounts();
    }
};

Scan *scan_of(IndexScanDesc descriptor) { return static_cast<Scan *>(descriptor->opaque); }

// Scans end with their portal even when end_scan is never called: the memory goes with the context.
void destroy_scan(void *scan) { delete static_cast<Scan *>(scan); }

Scan *new_scan(Oid index) {
    auto *callback = static_cast<MemoryContextCallback *>(palloc0(sizeof(MemoryContextCallback)));
    MemoryContext query_context =
        AllocSetContextCreate(CurrentMemoryContext, "dvec query", ALLOCSET_SMALL_SIZES);
    auto *scan = new Scan;
    scan->query_context = query_context;
    scan->index = index;
    scan->time.prepare();
    callback->func = destroy_scan;
    callback->arg = scan;
    MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
    return scan;
}

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
    const IndexSupport &support;
    int dimensions;
    IndexSupport::Encoded encoded;
    bool foreign;  // its operator is not the one the index's kernels are made for
};

// A NULL query is as far from every row: any vector will do.
Query query_of(IndexScanDesc descriptor, const OpenIndex &open) {
    const ScanKey key = &descriptor->orderByData[0];
    const IndexSupport &support = *index_support(descriptor->indexRelation);
    const auto dimensions = static_cast<int>(open.entry->shape.dimensions);
    const bool is_null = (key->sk_flags & SK_ISNULL) != 0;
    return {key, support, dimensions,
            is_null ? IndexSupport::Encoded{dimensions, palloc0(open.index->vector_bytes())}
                    : encode_query(support, dimensions, key->sk_argument),
            is_foreign_operator(key, support)};
}

bool is_exact(const Scan &scan) {
    return scan.guide != nullptr && scan.guide->order == ScanGuide::Order::exact;
}

// By another's operator nothing may be missed where the order is to be exact, and what our kernels
// find near says that only roughly.
bool must_measure_rows(const Scan &scan, const Query &query) {
    return query.encoded.beyond_rows || (is_exact(scan) && query.foreign);
}

// A walk that goes on beyond its first candidates measures about so many for each row.
constexpr uint64 measured_per_further_row = 128;

// To rows behind others (the next page of a list) the walk leads through all of those. Where they
// are so many that measuring every row takes no longer, the walk ends, and what it has missed
// before that is left out like what a walk of its own would miss.
void pass_over_the_near(uint64 entries, ScanTerms *terms) {
    const auto candidates = static_cast<uint64>(terms->ef);
    terms->exact_after =
        std::min(terms->exact_after, std::max(candidates, entries / measured_per_further_row));
    terms->late = ScanTerms::Late::left_out;
}

// What a caller knows of the query goes before what the session has set for all.
void follow(const ScanGuide &guide, uint64 entries, ScanTerms *terms) {
    if (guide.extent == ScanGuide::Extent::everything)
        terms->most_rows = PG_UINT64_MAX;
    if (guide.order == ScanGuide::Order::exact)
        terms->exact_after = 0;
    else if (std::isfinite(guide.nearest))
        pass_over_the_near(entries, terms);
    else if (terms->most_rows == PG_UINT64_MAX) {
        terms->rest = graph::Search::Params::Rest::left_out;
        terms->late = ScanTerms::Late::left_out;
    }
}

bool is_beyond(const ScanGuide &guide, double distance) {
    return !std::isnan(guide.farthest) && float8_gt(distance, guide.farthest);
}

std::unique_ptr<graph::RowFilter> row_filter(const ScanConditions &conditions) {
    using Condition = graph::RowFilter::Condition;
    static_assert(graph::RowFilter::null_key == null_key);
    static_assert(static_cast<int>(Condition::Kind::has_no_other_bits) ==
                  static_cast<int>(KeyCondition::Kind::has_no_other_bits));
    if (conditions.count == 0)
        return nullptr;
    auto filter = std::make_unique<graph::RowFilter>();
    for (int i = 0; i < conditions.count; ++i) {
        const KeyCondition &keys = conditions.each[i].keys;
        Condition condition;
        condition.column = static_cast<std::uint32_t>(conditions.each[i].column);
        condition.kind = static_cast<Condition::Kind>(keys.kind);
        if (keys.kind == KeyCondition::Kind::within_ranges)
            for (int j = 0; j < keys.count; ++j)
                condition.ranges.push_back({keys.ranges[j].first, keys.ranges[j].last});
        else
            condition.masks.assign(keys.masks, keys.masks + keys.count);
        filter->add(std::move(condition));
    }
    return filter;
}

// In the scan's query context.
void begin_filter(Scan *scan, IndexScanDesc descriptor) {
    const ScanConditions conditions = scan_conditions(descriptor);
    scan->filter = row_filter(conditions);
    scan->recheck = conditions.lossy;
}

Attempt begin_search(Scan *scan, const OpenIndex &open, const void *query) {
    store::Index::SearchParams params;
    params.ef = static_cast<uint32>(scan->terms.ef);
    params.exact_after = scan->terms.exact_after;
    params.rest = scan->terms.rest;
    if (is_exact(*scan))
        params.count_within = scan->guide->farthest;
    params.filter = scan->filter.get();
    params.interrupted = interruption_pending;
    if (!scan->search)
        scan->search = take_search();
    return attempt([&] { return open.index->search(*scan->search, query, params); });
}

Attempt begin_measuring(Scan *scan, const OpenIndex &open) {
    const double farthest =
        is_exact(*scan) ? scan->guide->farthest : std::numeric_limits<double>::quiet_NaN();
    return attempt([&]() -> base::Status {
        auto measured = MeasuredRows::of(*open.index, scan->filter.get(), farthest);
        DVEC_TRY(measured);
        scan->measured = std::move(measured).value();
        return {};
    });
}

// In the scan's query context.
Attempt begin_rows(Scan *scan, const OpenIndex &open, const Query &query) {
    const bool measures = must_measure_rows(*scan, query);
    if (measures || query.foreign)
        scan->operator_distance = OperatorDistance::of(query.key, query.support, query.dimensions);
    if (measures)
        return begin_measuring(scan, open);
    if (query.foreign)
        scan->order = std::make_unique<OperatorOrder>();
    return begin_search(scan, open, query.encoded.bytes);
}

// In the scan's query context.
SearchPlace find_place(IndexScanDesc descriptor) {
    if (RecoveryInProgress())
        return find_on_standby(descriptor);
    return {open_relation(descriptor->indexRelation), nullptr};
}

void set_terms(IndexScanDesc descriptor, uint64 entries) {
    Scan *scan = scan_of(descriptor);
    scan->terms = scan_terms(descriptor->indexRelation, entries);
    if (scan->guide != nullptr)
        follow(*scan->guide, entries, &scan->terms);
}

Attempt start_in_files(IndexScanDesc descriptor) {
    Scan *scan = scan_of(descriptor);
    scan->returned = 0;
    MemoryContextReset(scan->query_context);
    const MemoryContext caller = MemoryContextSwitchTo(scan->query_context);
    begin_filter(scan, descriptor);
    const SearchPlace place = find_place(descriptor);
    scan->heap_rows = place.rows;
    scan->heap_row_count = place.rows == nullptr ? 0 : place.rows->count();
    OpenIndex *open = place.open;
    if (open == nullptr) {
        MemoryContextSwitchTo(caller);
        set_terms(descriptor, place.rows->count());
        scan->started = true;
        return Attempt::done;
    }
    set_terms(descriptor, open->index->state().graph.allocated.load(std::memory_order_relaxed));
    const Query query = query_of(descriptor, *open);
    const Attempt begun = begin_rows(scan, *open, query);
    MemoryContextSwitchTo(caller);
    if (begun == Attempt::files_replaced)
        return begun;
    pin(open);
    scan->open = open;
    scan->started = true;
    open->entry->scans.fetch_add(1, std::memory_order_relaxed);
    open->entry->last_scan.store(static_cast<uint64>(GetCurrentStatementStartTimestamp()),
                                 std::memory_order_relaxed);
    if (scan->measured && is_exact(*scan) && !std::isnan(scan->guide->farthest))
        scan->measured->sample(*scan->operator_distance);
    return Attempt::done;
}

void start(IndexScanDesc descriptor) {
    check_can_search(descriptor);
    pgstat_count_index_scan(descriptor->indexRelation);
    while (start_in_files(descriptor) == Attempt::files_replaced)
        CHECK_FOR_INTERRUPTS();
}

// Notes in the guide how far the scan has come and, unless it goes on, why.
bool may_go_on(Scan *scan) {
    ScanGuide *guide = scan->guide;
    const bool at_bound = scan->returned >= scan->terms.most_rows;
    if (guide == nullptr)
        return !at_bound;
    const graph::SearchStatistics statistics = scan->statistics();
    guide->distances = statistics.distances;
    guide->scanned = statistics.scanned;
    guide->within = statistics.within;
    guide->not_in_memory = statistics.not_in_memory;
    if (at_bound) {
        guide->end = ScanGuide::End::setting;
    } else if (scan->terms.most_rows == PG_UINT64_MAX && guide->affordable != nullptr) {
        const uint64 distances = guide->affordable(*guide);
        if (distances == 0)
            guide->end = ScanGuide::End::spent;
        else if (scan->search)
            scan->search->limit_distances(guide->distances + distances);
    }
    return guide->end == ScanGuide::End::none;
}

// Whether a row is one that the guide still wants; the scan ends with the first that is not.
bool is_wanted(Scan *scan, const std::optional<graph::Hit> &hit) {
    ScanGuide *guide = scan->guide;
    if (guide == nullptr)
        return hit.has_value();
    if (!hit)
        guide->end = scan->statistics().left_out ? ScanGuide::End::walk : ScanGuide::End::all;
    else if (is_beyond(*guide, hit->distance))
        guide->end = ScanGuide::End::farthest;
    return guide->end == ScanGuide::End::none;
}

bool is_passed_over(const Scan *scan, const graph::Hit &hit) {
    return scan->guide != nullptr && hit.distance < scan->guide->nearest;
}

// By distance, in terms of the operator that the scan orders by.
std::optional<graph::Hit> take_indexed(Scan *scan) {
    if (scan->open == nullptr)
        return std::nullopt;
    if (scan->measured)
        return scan->measured->next(*scan->operator_distance);
    if (scan->order)
        return scan->order->next(*scan->search, scan->open->index->nodes(),
                                 *scan->operator_distance);
    return value_or_raise([&] { return scan->search->next(); });
}

// The next row of the index that is not to be read in the table.
const std::optional<graph::Hit> &next_indexed(Scan *scan) {
    if (scan->knows_indexed)
        return scan->indexed;
    scan->indexed = take_indexed(scan);
    while (scan->indexed && scan->heap_rows->covers(scan->indexed->tid.block)) {
        CHECK_FOR_INTERRUPTS();
        scan->indexed = take_indexed(scan);
    }
    scan->knows_indexed = true;
    return scan->indexed;
}

// Of the index and of the pages that it is behind by, merged.
std::optional<graph::Hit> take_hit(Scan *scan) {
    if (scan->heap_rows == nullptr)
        return take_indexed(scan);
    const std::optional<graph::Hit> row = scan->heap_rows->head();
    const std::optional<graph::Hit> &entry = next_indexed(scan);
    if (row && (!entry || graph::comes_before(row->distance, entry->distance))) {
        scan->heap_rows->take();
        return row;
    }
    scan->knows_indexed = false;
    return entry;
}

// The next row that the terms of the scan, and its guide, admit.
std::optional<graph::Hit> next_hit(Scan *scan) {
    while (may_go_on(scan)) {
        const std::optional<graph::Hit> hit = take_hit(scan);
        // With the first hit it is known how many there are within the bound.
        if (!is_wanted(scan, hit) || (scan->returned == 0 && !may_go_on(scan)))
            break;
        if (is_passed_over(scan, *hit))
            continue;
        const bool late = scan->returned > 0 && graph::comes_before(hit->distance, scan->farthest);
        if (late && scan->terms.late == ScanTerms::Late::left_out)
            continue;
        scan->farthest = hit->distance;
        ++scan->returned;
        if (scan->guide != nullptr) {
            scan->guide->rows = scan->returned;
            scan->guide->last = hit->distance;
        }
        return hit;
    }
    return std::nullopt;
}

}  // namespace

IndexScanDesc begin_scan(Relation index, int key_count, int order_by_count) {
    return guarded([=] {
        IndexScanDesc descriptor = RelationGetIndexScan(index, key_count, order_by_count);
        descriptor->opaque = new_scan(RelationGetRelid(index));
        return descriptor;
    });
}

void rescan(IndexScanDesc descriptor, ScanKey keys, int, ScanKey order_bys, int) {
    guarded([=] {
        Scan *scan = scan_of(descriptor);
        scan->release();
        if (scan->guide != nullptr) {
            scan->guide->rows = scan->guide->distances = scan->guide->scanned =
                scan->guide->within = 0;
            scan->guide->not_in_memory = 0;
            scan->guide->end = ScanGuide::End::none;
        }
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
        Scan *scan = scan_of(descriptor);
        scan->time.begin();
        if (!scan->started)
            start(descriptor);
        const std::optional<graph::Hit> hit = next_hit(scan);
        scan->time.end();
        if (!hit)
            return false;
        if (scan->returned == 1 && scan->search &&
            (scan->heap_rows == nullptr || scan->heap_rows->covers_none()))
            fetch_rows_ahead(descriptor->heapRelation, *scan->search, rows_of_last_scan);
        descriptor->xs_heaptid = item_pointer(hit->tid);
        descriptor->xs_recheck = scan->recheck || (scan->filter && hit->id == HeapRows::no_node);
        descriptor->xs_recheckorderby = false;
        return true;
    });
}

void guide_scan(IndexScanDesc descriptor, ScanGuide *guide) { scan_of(descriptor)->guide = guide; }

SearchCounts search_counts(IndexScanDesc descriptor) { return scan_of(descriptor)->counts(); }

void end_scan(IndexScanDesc descriptor) {
    guarded([=] {
        Scan *scan = scan_of(descriptor);
        scan->release();
        log_searches(descriptor->indexRelation, scan->ended, scan->time);
        scan->finish();
    });
}

}  // namespace dvec::postgres
