// The settings hnsw.* and ivfflat.*, and two of dvec.*: what a session says about its scans.
//
// dvec.ef_search and dvec.iterative_scan exist in every session and take precedence over the
// others, which in a database with pgvector belong to pgvector.
//
// Names, limits, defaults and messages are pgvector's, so that its users' SQL keeps its meaning.
// The only exception is that scans are complete by default. pgvector's library fails to load in a
// session where its settings are already defined, and one server may have databases with either
// extension. So the settings are not defined when the server preloads dvec, but in each session
// that looks up a function of our types. Values set before that are not lost: the server keeps them
// as placeholders until the settings are defined.
#pragma once

#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

// Where a scan ends.
enum class IterativeScan : int {
    off,            // with the first candidates
    relaxed_order,  // at a bound; rows found late come late
    strict_order,   // at a bound; rows found late are left out
    complete        // with the last row there is
};

// How many candidates a search keeps, of an index whose option ef_search is `of_index` (0: it has
// none): dvec.ef_search or hnsw.ef_search where the session has set it, else that option, else what
// these are set to for the role, the database or the server.
int ef_search(int of_index);
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
