// The settings hnsw.* and ivfflat.*, and three of dvec.*: what a session says about its scans.
//
// dvec.ef_search, dvec.target_recall and dvec.iterative_scan exist in every session and take
// precedence over the others, which in a database with pgvector belong to pgvector.
//
// Names, limits, defaults and messages are pgvector's, so that its users' SQL keeps its meaning.
// The only exceptions are that scans are complete by default, and that pgvector has no
// hnsw.target_recall. pgvector's library fails to load in a
// session where its settings are already defined, and one server may have databases with either
// extension. So the settings are not defined when the server preloads dvec, but in each session
// that looks up a function of our types. Values set before that are not lost: the server keeps them
// as placeholders until the settings are defined.
#pragma once

#include "postgres/bridge/access_method.hpp"
#include "postgres/relation/options.hpp"

namespace dvec::postgres {

// Where a scan ends.
enum class IterativeScan : int {
    off,            // with the first candidates
    relaxed_order,  // at a bound; rows found late come late
    strict_order,   // at a bound; rows found late are left out
    complete        // with the last row there is
};

// How wide a search is: it keeps so many candidates, or, where `ef` is 0, as many as find this
// share of the nearest rows.
struct SearchWidth {
    int ef;
    double recall;
};
// The first that there is: what the session has set, the index's options, what is set for the role,
// the database or the server; 40 candidates. Of each, a number of candidates goes before a share,
// and dvec.* before hnsw.*.
SearchWidth search_width(const IndexOptions &of_index);
// hnsw.max_scan_tuples: after so many rows from the graph a scan finds the rest by exact search.
int max_scan_tuples();
// dvec.iterative_scan, or hnsw.iterative_scan and ivfflat.iterative_scan.
IterativeScan hnsw_iterative_scan();
IterativeScan ivfflat_iterative_scan();
// ivfflat.probes and ivfflat.max_probes: how many of the lists that the index would have.
int probes();
int max_probes();

// When the library is loaded.
void scan_settings_init();

}  // namespace dvec::postgres
