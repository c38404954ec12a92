// What a user can set about an index: the WITH (...) options of CREATE INDEX and the settings
// hnsw.* and ivfflat.*. Indexes of both access methods are the same graph; ivfflat exists so that
// SQL written for an inverted file goes on working.
#pragma once

#include "postgres/bridge/access_method.hpp"

namespace dvec::postgres {

inline constexpr int min_m = 2;
inline constexpr int default_m = 16;
inline constexpr int max_m = 100;
inline constexpr int min_ef_construction = 4;
inline constexpr int default_ef_construction = 64;
inline constexpr int max_ef_construction = 1000;
inline constexpr int min_ef_search = 1;
inline constexpr int default_ef_search = 40;
inline constexpr int max_ef_search = 1000;
inline constexpr int min_lists = 1;
inline constexpr int default_lists = 100;
inline constexpr int max_lists = 32768;

enum class Method : unsigned char { hnsw, ivfflat };

Method method_of(Relation index);
// As messages call it. In the current memory context.
const char *method_name(Relation index);

// Where a scan ends.
enum class IterativeScan : int {
    off,            // with the first candidates
    relaxed_order,  // at a bound; rows found late come late
    strict_order,   // at a bound; rows found late are left out
    complete        // with the last row there is
};

// hnsw.ef_search: how many candidates a search keeps.
extern int ef_search;
// hnsw.max_scan_tuples: after so many rows from the graph a scan finds the rest by exact search.
extern int max_scan_tuples;
// hnsw.iterative_scan and ivfflat.iterative_scan, each an IterativeScan.
extern int hnsw_iterative_scan;
extern int ivfflat_iterative_scan;
// ivfflat.probes and ivfflat.max_probes: how many of the lists that the index would have.
extern int probes;
extern int max_probes;

// As the server stores parsed options.
struct IndexOptions {
    int32 varlena_header;
    int m;
    int ef_construction;
    int lists;
};

// Defaults stand for what was not given, or does not exist for the method.
IndexOptions index_options(Relation index);

// Of the access methods: parse the options.
bytea *parse_hnsw_options(Datum options, bool validate);
bytea *parse_ivfflat_options(Datum options, bool validate);

void options_init();

}  // namespace dvec::postgres
