// Names, limits and defaults are pgvector's, so that its users' SQL keeps its meaning.
#include "postgres/am/options.hpp"

namespace dvec::postgres {

int ef_search;
int max_scan_tuples;

namespace {

relopt_kind option_kind;

}  // namespace

void options_init() {
    option_kind = add_reloption_kind();
    add_int_reloption(option_kind, "m", "Max number of connections", default_m, min_m, max_m,
                      AccessExclusiveLock);
    add_int_reloption(
        option_kind, "ef_construction", "Size of the dynamic candidate list for construction",
        default_ef_construction, min_ef_construction, max_ef_construction, AccessExclusiveLock);

    DefineCustomIntVariable("hnsw.ef_search",
                            "Sets the size of the dynamic candidate list for search",
                            "Valid range is 1..1000.", &ef_search, default_ef_search, min_ef_search,
                            max_ef_search, PGC_USERSET, 0, nullptr, nullptr, nullptr);
    DefineCustomIntVariable("hnsw.max_scan_tuples",
                            "Sets the number of rows a scan takes from the graph before it "
                            "finds the rest by exact search",
                            nullptr, &max_scan_tuples, 20000, 1, INT_MAX, PGC_USERSET, 0, nullptr,
                            nullptr, nullptr);
    MarkGUCPrefixReserved("hnsw");
}

bytea *parse_index_options(Datum options, bool validate) {
    static const relopt_parse_elt elements[] = {
        {"m", RELOPT_TYPE_INT, offsetof(IndexOptions, m)},
        {"ef_construction", RELOPT_TYPE_INT, offsetof(IndexOptions, ef_construction)},
    };
    return static_cast<bytea *>(build_reloptions(
        options, validate, option_kind, sizeof(IndexOptions), elements, lengthof(elements)));
}

IndexOptions index_options(Relation index) {
    if (index->rd_options != nullptr)
        return *reinterpret_cast<const IndexOptions *>(index->rd_options);
    IndexOptions options{};
    options.m = default_m;
    options.ef_construction = default_ef_construction;
    return options;
}

}  // namespace dvec::postgres
