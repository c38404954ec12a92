// What the session's settings ask of a scan: how wide it searches, how far it goes, what it leaves
// out. Both access methods are told here in terms of the one search.
#pragma once

#include "engine/graph/search.hpp"
#include "postgres/relation/options.hpp"

namespace dvec::postgres {

struct ScanTerms {
    // Candidates the search keeps.
    int ef;
    // After so many rows from the graph the rest is found by exact search; after 0 all are.
    uint64 exact_after;
    // After so many rows the scan ends, whatever there is.
    uint64 most_rows;
    // What becomes of rows that the graph does not lead to.
    graph::Search::Params::Rest rest;
    // Whether a row nearer than one already returned is left out instead of returned late.
    enum class Late : bool { returned, left_out } late;
};

// Candidates a search keeps.
int candidates(Method method);
// Whether a search measures every row: an ivfflat index of which all lists are to be read.
bool searches_exactly(Relation index);

// For a scan that begins now, of an index with so many entries.
ScanTerms scan_terms(Relation index, uint64 entries);

}  // namespace dvec::postgres
