// Names, limits, defaults and messages are pgvector's, so that its users' SQL keeps its meaning.
#include "postgres/relation/options.hpp"

#include "postgres/bridge/access_method.hpp"
#include "postgres/bridge/catalog.hpp"

namespace dvec::postgres {

namespace {

// Of an option without a default.
constexpr int not_given = 0;

relopt_enum_elt_def storages[] = {
    {"full", static_cast<int>(Storage::full)},
    {"compact", static_cast<int>(Storage::compact)},
    {nullptr, 0},
};

relopt_kind hnsw_options;
relopt_kind ivfflat_options;

void check_bits(int bits) {
    if (bits != 8 && bits != 4 && bits != 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("compact storage cannot have %d bits per element", bits),
                        errhint("Set \"bits\" to 8, 4 or 1.")));
}

// Whether somebody wrote it down, if only to set what is the default anyway.
bool is_given(Datum options, const char *name) {
    ListCell *cell;
    foreach (cell, untransformRelOptions(options)) {
        if (strcmp(lfirst_node(DefElem, cell)->defname, name) == 0)
            return true;
    }
    return false;
}

// Whoever sets such an option expects something of it: a small index, a fast one, or a recall. It
// is no error, since options are set one after the other, and one that is kept may get its meaning
// by the next.
void tell_what_is_vain(Datum options, const IndexOptions &parsed) {
    if (parsed.storage != Storage::compact && is_given(options, "bits"))
        ereport(NOTICE, (errmsg("option \"bits\" has no effect without compact storage"),
                         errdetail("Whole vectors are not rounded."),
                         errhint("Set \"storage\" to \"compact\" too, or do without \"bits\".")));
    if (parsed.storage == Storage::compact && parsed.link_codes)
        ereport(NOTICE, (errmsg("option \"link_codes\" has no effect with compact storage"),
                         errdetail("Link codes are for indexes that hold whole vectors."),
                         errhint("Set \"storage\" to \"full\", or do without \"link_codes\".")));
    if (parsed.storage == Storage::compact && parsed.bits < default_bits &&
        parsed.target_recall > no_target_recall)
        ereport(NOTICE,
                (errmsg("option \"target_recall\" may promise too much with %d bits per element",
                        parsed.bits),
                 errdetail("It is measured by rounded vectors, and rounding hides more than that "
                           "tells by L1 distance and among near copies."),
                 errhint("Compare with dvec_recall(), or set \"bits\" to %d.", default_bits)));
}

}  // namespace

void options_init() {
    hnsw_options = add_reloption_kind();
    add_int_reloption(hnsw_options, "m", "Max number of connections", default_m, min_m, max_m,
                      AccessExclusiveLock);
    add_int_reloption(
        hnsw_options, "ef_construction", "Size of the dynamic candidate list for construction",
        default_ef_construction, min_ef_construction, max_ef_construction, AccessExclusiveLock);
    // Changes nothing that is stored, and a search reads it when it begins.
    add_int_reloption(hnsw_options, "ef_search", "Size of the dynamic candidate list for search",
                      not_given, min_ef_search, max_ef_search, ShareUpdateExclusiveLock);
    add_real_reloption(hnsw_options, "target_recall",
                       "Share of the nearest rows that a search is to find", no_target_recall,
                       no_target_recall, max_target_recall, ShareUpdateExclusiveLock);
    add_bool_reloption(hnsw_options, "link_codes",
                       "Codes of neighbors beside links, for faster search with more memory",
                       default_link_codes, ShareUpdateExclusiveLock);
    // These are of what is stored, so they are heeded when an index is built.
    add_enum_reloption(hnsw_options, "storage", "What the index holds of a vector", storages,
                       static_cast<int>(Storage::full),
                       "Valid values are \"full\" and \"compact\".", AccessExclusiveLock);
    add_int_reloption(hnsw_options, "bits", "Bits for each element of a compact vector",
                      default_bits, min_bits, max_bits, AccessExclusiveLock);
    add_int_reloption(hnsw_options, "nonzeros",
                      "Non-zero elements of a sparse vector that the index has room for", not_given,
                      min_nonzeros, max_nonzeros, AccessExclusiveLock);

    ivfflat_options = add_reloption_kind();
    add_int_reloption(ivfflat_options, "lists", "Number of inverted lists", default_lists,
                      min_lists, max_lists, AccessExclusiveLock);
}

Method method_of(Relation index) {
    return index->rd_indam->amoptions == parse_ivfflat_options ? Method::ivfflat : Method::hnsw;
}

const char *method_name(Relation index) { return get_am_name(index->rd_rel->relam); }

bytea *parse_hnsw_options(Datum options, bool validate) {
    static const relopt_parse_elt elements[] = {
        {"m", RELOPT_TYPE_INT, offsetof(IndexOptions, m)},
        {"ef_construction", RELOPT_TYPE_INT, offsetof(IndexOptions, ef_construction)},
        {"ef_search", RELOPT_TYPE_INT, offsetof(IndexOptions, ef_search)},
        {"target_recall", RELOPT_TYPE_REAL, offsetof(IndexOptions, target_recall)},
        {"link_codes", RELOPT_TYPE_BOOL, offsetof(IndexOptions, link_codes)},
        {"storage", RELOPT_TYPE_ENUM, offsetof(IndexOptions, storage)},
        {"bits", RELOPT_TYPE_INT, offsetof(IndexOptions, bits)},
        {"nonzeros", RELOPT_TYPE_INT, offsetof(IndexOptions, nonzeros)},
    };
    auto *parsed = static_cast<IndexOptions *>(build_reloptions(
        options, validate, hnsw_options, sizeof(IndexOptions), elements, lengthof(elements)));
    if (validate && parsed != nullptr) {
        check_bits(parsed->bits);
        tell_what_is_vain(options, *parsed);
    }
    return reinterpret_cast<bytea *>(parsed);
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
    if (options.bits == 0)
        options.bits = default_bits;
    if (options.lists == 0)
        options.lists = default_lists;
    return options;
}

}  // namespace dvec::postgres
