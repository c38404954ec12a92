// What a user can set about an index: the WITH (...) options of CREATE INDEX. Indexes of both
// access methods are the same graph; ivfflat exists so that SQL written for an inverted file goes
// on working.
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
inline constexpr int max_ef_search = 10000;
inline constexpr double no_target_recall = 0;
inline constexpr double max_target_recall = 0.999;
inline constexpr bool default_link_codes = false;
inline constexpr int min_lists = 1;
inline constexpr int default_lists = 100;
inline constexpr int max_lists = 32768;

inline constexpr int min_bits = 1;
inline constexpr int default_bits = 8;
inline constexpr int max_bits = 8;

inline constexpr int min_nonzeros = 1;
inline constexpr int max_nonzeros = 16000;

// What an index holds of a vector: all of it, or a compact vector.
enum class Storage : int { full, compact };

enum class Method : unsigned char { hnsw, ivfflat };

Method method_of(Relation index);
// As messages call it. In the current memory context.
const char *method_name(Relation index);

// As the server stores parsed options.
struct IndexOptions {
    int32 varlena_header;
    int m;
    int ef_construction;
    int lists;
    int ef_search;
    double target_recall;
    bool link_codes;
    Storage storage;
    int bits;
    int nonzeros;
};

// Defaults stand for what was not given, or does not exist for the method; 0 for ef_search,
// target_recall and nonzeros.
IndexOptions index_options(Relation index);

// Of the access methods: parse the options.
bytea *parse_hnsw_options(Datum options, bool validate);
bytea *parse_ivfflat_options(Datum options, bool validate);

void options_init();

}  // namespace dvec::postgres
