// What a user can set about an hnsw index: the WITH (...) options of CREATE INDEX and the hnsw.*
// settings.
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

// hnsw.ef_search: how many candidates a search keeps.
extern int ef_search;
// hnsw.max_scan_tuples: after so many rows from the graph a scan finds the rest by exact search.
extern int max_scan_tuples;

// As the server stores parsed options.
struct IndexOptions {
    int32 varlena_header;
    int m;
    int ef_construction;
};

IndexOptions index_options(Relation index);

// Of the access method: parses the options.
bytea *parse_index_options(Datum options, bool validate);

void options_init();

}  // namespace dvec::postgres
