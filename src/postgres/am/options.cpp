// Names, limits, defaults and messages are pgvector's, so that its users' SQL keeps its meaning;
// the one exception is that a scan is complete unless the session asks for less.
#include "postgres/am/options.hpp"

extern "C" {
#include "access/amapi.h"
#include "commands/defrem.h"
}

namespace dvec::postgres {

int ef_search;
int max_scan_tuples;
int hnsw_iterative_scan;
int ivfflat_iterative_scan;
int probes;
int max_probes;

namespace {

relopt_kind hnsw_options;
relopt_kind ivfflat_options;

// Read by nobody: a scan's memory is a few numbers for each row it has met, and running out of
// work_mem must not end an answer.
double scan_mem_multiplier;

constexpr int value_of(IterativeScan mode) { return static_cast<int>(mode); }

const config_enum_entry hnsw_modes[] = {
    {"off", value_of(IterativeScan::off), false},
    {"relaxed_order", value_of(IterativeScan::relaxed_order), false},
    {"strict_order", value_of(IterativeScan::strict_order), false},
    {"complete", value_of(IterativeScan::complete), false},
    {nullptr, 0, false}};

const config_enum_entry ivfflat_modes[] = {
    {"off", value_of(IterativeScan::off), false},
    {"relaxed_order", value_of(IterativeScan::relaxed_order), false},
    {"complete", value_of(IterativeScan::complete), false},
    {nullptr, 0, false}};

struct Range {
    int initial, least, most;
};

void define_int(const char *name, const char *meaning, const char *more, int *variable,
                Range range) {
    DefineCustomIntVariable(name, meaning, more, variable, range.initial, range.least, range.most,
                            PGC_USERSET, 0, nullptr, nullptr, nullptr);
}

void define_mode(const char *name, int *variable, const config_enum_entry *modes) {
    DefineCustomEnumVariable(name, "Sets the mode for iterative scans", nullptr, variable,
                             value_of(IterativeScan::complete), modes, PGC_USERSET, 0, nullptr,
                             nullptr, nullptr);
}

void define_hnsw() {
    hnsw_options = add_reloption_kind();
    add_int_reloption(hnsw_options, "m", "Max number of connections", default_m, min_m, max_m,
                      AccessExclusiveLock);
    add_int_reloption(
        hnsw_options, "ef_construction", "Size of the dynamic candidate list for construction",
        default_ef_construction, min_ef_construction, max_ef_construction, AccessExclusiveLock);

    define_int("hnsw.ef_search", "Sets the size of the dynamic candidate list for search",
               "Valid range is 1..1000.", &ef_search,
               {default_ef_search, min_ef_search, max_ef_search});
    define_mode("hnsw.iterative_scan", &hnsw_iterative_scan, hnsw_modes);
    define_int("hnsw.max_scan_tuples",
               "Sets the number of rows a scan takes from the graph before it finds the rest by "
               "exact search, or ends",
               nullptr, &max_scan_tuples, {20000, 1, INT_MAX});
    DefineCustomRealVariable(
        "hnsw.scan_mem_multiplier", "Has no effect: a scan does not end for want of memory",
        nullptr, &scan_mem_multiplier, 1, 1, 1000, PGC_USERSET, 0, nullptr, nullptr, nullptr);
    MarkGUCPrefixReserved("hnsw");
}

void define_ivfflat() {
    ivfflat_options = add_reloption_kind();
    add_int_reloption(ivfflat_options, "lists", "Number of inverted lists", default_lists,
                      min_lists, max_lists, AccessExclusiveLock);

    define_int("ivfflat.probes", "Sets the number of probes", "Valid range is 1..lists.", &probes,
               {1, min_lists, max_lists});
    define_mode("ivfflat.iterative_scan", &ivfflat_iterative_scan, ivfflat_modes);
    define_int("ivfflat.max_probes", "Sets the max number of probes for iterative scans", nullptr,
               &max_probes, {max_lists, min_lists, max_lists});
    MarkGUCPrefixReserved("ivfflat");
}

}  // namespace

void options_init() {
    define_hnsw();
    define_ivfflat();
}

Method method_of(Relation index) {
    return index->rd_indam->amoptions == parse_ivfflat_options ? Method::ivfflat : Method::hnsw;
}

const char *method_name(Relation index) { return get_am_name(index->rd_rel->relam); }

bytea *parse_hnsw_options(Datum options, bool validate) {
    static const relopt_parse_elt elements[] = {
        {"m", RELOPT_TYPE_INT, offsetof(IndexOptions, m)},
        {"ef_construction", RELOPT_TYPE_INT, offsetof(IndexOptions, ef_construction)},
    };
    return static_cast<bytea *>(build_reloptions(
        options, validate, hnsw_options, sizeof(IndexOptions), elements, lengthof(elements)));
}

bytea *parse_ivfflat_options(Datum options, bool validate) {
    static const relopt_parse_elt elements[] = {
        {"lists", RELOPT_TYPE_INT, offsetof(IndexOptions, lists)},
    };
    return static_cast<bytea *>(build_reloptions(
        options, validate, ivfflat_options, sizeof(IndexOptions), elements, lengthof(elements)));
}

IndexOptions index_options(Relation index) {
    IndexOptions options{};
    if (index->rd_options != nullptr)
        options = *reinterpret_cast<const IndexOptions *>(index->rd_options);
    // 0, which no option can be, is left by the other method.
    if (options.m == 0)
        options.m = default_m;
    if (options.ef_construction == 0)
        options.ef_construction = default_ef_construction;
    if (options.lists == 0)
        options.lists = default_lists;
    return options;
}

}  // namespace dvec::postgres
