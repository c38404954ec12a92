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
#include "postgres/relation/built_options.hpp"
#include "postgres/relation/own_method.hpp"

namespace dvec::postgres {

namespace {

// A scan of lists becomes more exact with every probe; this many candidates per probe have the same
// effect on the graph.
constexpr int candidates_per_probe = 10;
// More probes than this make no difference.
constexpr int most_probes = 100;

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

int enough_for_probes(Method method, int ef) {
    if (method == Method::hnsw)
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

// An index and what is asked of it.
struct Asked {
    Relation index;
    Method method;
    IndexOptions options;
    SearchWidth width;
    RowsWanted wanted;
    int candidates;  // as settings and options say

    Asked(Relation asked_index, const RowsWanted &rows)
        : index(asked_index),
          method(method_of(index)),
          options(built_options(index)),
          width(search_width(options)),
          wanted(rows),
          candidates(enough_for_probes(
              method,
              width.ef > 0 ? width.ef : ef_for_target(index, width.recall, wanted.of_scan))) {}
};

// A scan that ends after the candidates asked for walks among these and no more, as pgvector's
// does; and a target knows what whole vectors take for so many rows. What filters take away counts
// for compact vectors only: the planner may be far off, and a walk that is ten times as wide for
// nothing costs more than rounds do.
double rows_to_find(const Asked &asked) {
    const bool ends_early =
        asked.method == Method::hnsw && hnsw_iterative_scan() == IterativeScan::off;
    const double of_scan = asked.wanted.of_scan;
    if (asked.options.storage == Storage::compact)
        return ends_early ? std::min(of_scan, static_cast<double>(asked.candidates)) : of_scan;
    const bool has_target = asked.width.ef == 0;
    return ends_early || has_target ? 0 : asked.wanted.by_limit;
}

int enough_for_rows(const Asked &asked) {
    const double rows = std::min(most_rows_at_once, rows_to_find(asked));
    return std::max(asked.candidates, static_cast<int>(candidates_per_row(asked.options) * rows));
}

// By link codes the farther half of what a search keeps is found badly
// (GraphStream::results_to_take), and a caller that comes to it pays for both ways. Wide searches
// expand too many nodes by them.
store::Index::SearchParams::LinkCodes link_codes(const Asked &asked, int ef) {
    using LinkCodes = store::Index::SearchParams::LinkCodes;
    if (!asked.options.link_codes)
        return LinkCodes::none;
    const bool pays = ef <= widest_by_link_codes && 2 * asked.wanted.of_scan < ef;
    return pays ? LinkCodes::used : LinkCodes::kept;
}

}  // namespace

int candidates(Relation index, const RowsWanted &wanted) {
    return enough_for_rows({index, wanted});
}

bool searches_exactly(Relation index) {
    return method_of(index) == Method::ivfflat && probes() >= index_options(index).lists;
}

ScanTerms scan_terms(Relation index, const RowsWanted &wanted, uint64 entries,
                     const ScanGuide *guide) {
    const Asked asked(index, wanted);
    const bool is_hnsw = asked.method == Method::hnsw;
    const IterativeScan mode = is_hnsw ? hnsw_iterative_scan() : ivfflat_iterative_scan();
    ScanTerms terms;
    terms.ef = enough_for_rows(asked);
    const bool walks = !searches_exactly(index) && !measures_all(terms.ef, entries);
    terms.exact_after = walks ? static_cast<uint64>(max_scan_tuples()) : 0;
    terms.most_rows = is_hnsw ? bound_of_hnsw(mode, asked.candidates)
                              : bound_of_ivfflat(mode, asked.options.lists, entries);
    terms.wanted_within = 0;
    terms.rest = graph::Search::Params::Rest::exact;
    terms.late =
        mode == IterativeScan::strict_order ? ScanTerms::Late::left_out : ScanTerms::Late::returned;
    terms.link_codes = link_codes(asked, terms.ef);
    if (guide != nullptr)
        follow(*guide, entries, &terms);
    // A scan that ends with its candidates looks no further than these.
    if (guide != nullptr && !std::isnan(guide->farthest) &&
        terms.most_rows > static_cast<uint64>(terms.ef))
        terms.wanted_within =
            static_cast<uint64>(std::ceil(std::min(wanted.by_limit, most_rows_at_once)));
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
