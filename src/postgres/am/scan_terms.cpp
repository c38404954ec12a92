// A scan is bounded by the same settings as pgvector's own scans: `off` ends a scan of an hnsw
// index after ef_search rows, the iterative modes after max_scan_tuples. pgvector reads an ivfflat
// index list by list, each of which holds about the same share of the rows, so for ivfflat the
// bounds are shares of the index.
#include "postgres/am/scan_terms.hpp"

#include <algorithm>
#include <cmath>

#include "postgres/am/scan_settings.hpp"
#include "postgres/am/target_recall.hpp"
#include "postgres/bridge/catalog.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/heap.hpp"
#include "postgres/relation/own_method.hpp"

namespace dvec::postgres {

namespace {

// A scan of lists becomes more exact with every probe; this many candidates per probe have the same
// effect on the graph.
constexpr int candidates_per_probe = 10;
// More probes than this make no difference.
constexpr int most_probes = 100;

// A walk meets at least this many new neighbours for each candidate. If that adds up to the number
// of nodes, the walk measures about as many as the exact scan does.
constexpr uint64 measured_per_candidate = 16;

// What a search may keep that goes by link codes.
constexpr int widest_by_link_codes = 128;

uint64 share_of_lists(int read_lists, int lists, uint64 entries) {
    const auto wanted = static_cast<uint64>(std::min(read_lists, lists));
    const auto all = static_cast<uint64>(lists);
    return (entries * wanted + all - 1) / all;
}

uint64 bound_of_hnsw(IterativeScan mode, int ef) {
    switch (mode) {
        case IterativeScan::off:
            return static_cast<uint64>(ef);
        case IterativeScan::relaxed_order:
        case IterativeScan::strict_order:
            return static_cast<uint64>(std::max(max_scan_tuples(), ef));
        case IterativeScan::complete:
            break;
    }
    return PG_UINT64_MAX;
}

uint64 bound_of_ivfflat(IterativeScan mode, int lists, uint64 entries) {
    if (mode == IterativeScan::complete)
        return PG_UINT64_MAX;
    return share_of_lists(mode == IterativeScan::off ? probes() : std::max(probes(), max_probes()),
                          lists, entries);
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

int enough_for_probes(Relation index, int ef) {
    if (method_of(index) == Method::hnsw)
        return ef;
    return std::max(ef, std::min(probes(), most_probes) * candidates_per_probe);
}

// A walk finds the farther ones of what it keeps less well, and to keep more from the beginning is
// cheaper than further rounds: among so many candidates each row that is wanted is looked for. Of
// whole vectors so many give any LIMIT about the recall that ten rows have with 40 candidates. Of
// compact vectors, whose distances are not the table's, it takes more.
double candidates_per_row(const IndexOptions &options) {
    if (options.storage != Storage::compact)
        return 1.5;
    return options.bits == 8 ? 1.25 : options.bits == 4 ? 2.5 : 6;
}
// More rows than these are found by further rounds of the walk.
constexpr double most_rows_at_once = 1000;

// The candidates that settings and options ask for.
int candidates_asked_for(Relation index, const RowsWanted &wanted) {
    const SearchWidth width = search_width(index_options(index));
    const int ef = width.ef > 0 ? width.ef : ef_for_target(index, width.recall, wanted.of_scan);
    return enough_for_probes(index, ef);
}

// A scan that ends after the candidates asked for walks among these and no more, as pgvector's
// does; and a target knows what whole vectors take for so many rows. What filters take away counts
// for compact vectors only: the planner may be far off, and a walk that is ten times as wide for
// nothing costs more than rounds do.
double rows_to_find(Relation index, int asked, const RowsWanted &wanted) {
    const bool is_compact = index_options(index).storage == Storage::compact;
    const bool ends_early =
        method_of(index) == Method::hnsw && hnsw_iterative_scan() == IterativeScan::off;
    if (is_compact)
        return ends_early ? std::min(wanted.of_scan, static_cast<double>(asked)) : wanted.of_scan;
    const bool has_target = search_width(index_options(index)).ef == 0;
    return ends_early || has_target ? 0 : wanted.by_limit;
}

int enough_for_rows(Relation index, int asked, const RowsWanted &wanted) {
    const double rows = std::min(most_rows_at_once, rows_to_find(index, asked, wanted));
    return std::max(asked, static_cast<int>(candidates_per_row(index_options(index)) * rows));
}

// By link codes the farther half of what a search keeps is found badly
// (GraphStream::results_to_take), and a caller that comes to it pays for both ways. Wide searches
// expand too many nodes by them.
store::Index::SearchParams::LinkCodes link_codes(Relation index, int ef, double rows) {
    using LinkCodes = store::Index::SearchParams::LinkCodes;
    if (!index_options(index).link_codes)
        return LinkCodes::none;
    const bool pays = ef <= widest_by_link_codes && 2 * rows < ef;
    return pays ? LinkCodes::used : LinkCodes::kept;
}

}  // namespace

int candidates(Relation index, const RowsWanted &wanted) {
    return enough_for_rows(index, candidates_asked_for(index, wanted), wanted);
}

bool searches_exactly(Relation index) {
    return method_of(index) == Method::ivfflat && probes() >= index_options(index).lists;
}

ScanTerms scan_terms(IndexScanDesc scan, uint64 entries, const ScanGuide *guide) {
    Relation index = scan->indexRelation;
    const Method method = method_of(index);
    const IterativeScan mode =
        method == Method::hnsw ? hnsw_iterative_scan() : ivfflat_iterative_scan();
    const RowsWanted wanted = rows_wanted(scan);
    const int asked = candidates_asked_for(index, wanted);
    ScanTerms terms;
    terms.ef = enough_for_rows(index, asked, wanted);
    const bool walks = !searches_exactly(index) &&
                       entries > measured_per_candidate * static_cast<uint64>(terms.ef);
    terms.exact_after = walks ? static_cast<uint64>(max_scan_tuples()) : 0;
    terms.most_rows = method == Method::hnsw
                          ? bound_of_hnsw(mode, asked)
                          : bound_of_ivfflat(mode, index_options(index).lists, entries);
    terms.rest = graph::Search::Params::Rest::exact;
    terms.late =
        mode == IterativeScan::strict_order ? ScanTerms::Late::left_out : ScanTerms::Late::returned;
    terms.link_codes = link_codes(index, terms.ef, wanted.of_scan);
    if (guide != nullptr)
        follow(*guide, entries, &terms);
    return terms;
}

// dvec_ef_search(): what a search of an index by this session for so many rows keeps; null where it
// is no index of ours that can be searched.
DVEC_COMMON_FUNCTION(ef_search) {
    const int rows = PG_NARGS() > 1 ? PG_GETARG_INT32(1) : 10;
    if (rows < 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("number of neighbors must be at least 1")));
    Relation relation = try_relation_open(PG_GETARG_OID(0), AccessShareLock);
    if (relation == nullptr)
        PG_RETURN_NULL();
    const bool is_own = relation->rd_rel->relkind == RELKIND_INDEX &&
                        is_own_method(relation->rd_indam->amcostestimate);
    const int ef =
        is_own ? candidates(relation, {static_cast<double>(rows), static_cast<double>(rows)}) : 0;
    relation_close(relation, AccessShareLock);
    if (!is_own)
        PG_RETURN_NULL();
    PG_RETURN_INT32(ef);
}

}  // namespace dvec::postgres
