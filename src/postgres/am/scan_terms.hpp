// What the session's settings, and what the caller knows of the query, mean for a scan: how many
// candidates it keeps, where it ends, and which rows it leaves out. The settings of both access
// methods are translated into parameters of the same search.
#pragma once

#include "engine/graph/search.hpp"
#include "engine/store/index.hpp"
#include "postgres/am/rows_wanted.hpp"
#include "postgres/am/scan_guide.hpp"
#include "postgres/relation/options.hpp"

namespace dvec::postgres {

struct ScanTerms {
    // Candidates the search keeps.
    int ef;
    // After this many rows from the graph, the remaining ones are found by exact search; 0 means
    // all rows are.
    uint64 exact_after;
    // After this many rows the scan ends, even if there are more.
    uint64 most_rows;
    // How many rows the search looks for where those beyond a distance are not wanted; 0: it does
    // not look further for them than for others.
    uint64 wanted_within;
    // What happens to rows that the walk over the graph does not find.
    graph::Search::Params::Rest rest;
    // Whether a row that is found late, nearer than one already returned, is returned out of order
    // or left out.
    enum class Late : bool { returned, left_out } late;
    store::Index::SearchParams::LinkCodes link_codes;
};

// Candidates a search for so many rows keeps.
int candidates(Relation index, const RowsWanted &wanted);
// Whether a search measures every row: an ivfflat index of which all lists are to be read.
bool searches_exactly(Relation index);
// The same for one of so few entries that a walk would. It meets at least this many new neighbours
// for each candidate.
inline bool measures_all(int ef, uint64 entries) {
    constexpr uint64 measured_per_candidate = 16;
    return entries <= measured_per_candidate * static_cast<uint64>(ef);
}

// For a scan that begins now, of an index with so many entries. `guide` is null where the settings
// are all there is.
ScanTerms scan_terms(Relation index, const RowsWanted &wanted, uint64 entries,
                     const ScanGuide *guide);

}  // namespace dvec::postgres
