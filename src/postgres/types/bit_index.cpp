// `bit` in hnsw indexes: one IndexSupport for each operator class. An index stores the bytes of the
// string, one for eight bits.
#include "postgres/bridge/guard.hpp"
#include "postgres/types/index_support.hpp"

extern "C" {
Datum dvec_hamming_distance(FunctionCallInfo fcinfo);
Datum dvec_jaccard_distance(FunctionCallInfo fcinfo);
}

namespace dvec::postgres {
namespace {

// As many bytes as the longest vector has.
constexpr int max_indexed_bits = 512000;

IndexSupport::Encoded as_stored(Datum value, IndexSupport::Use) {
    VarBit *bits = DatumGetVarBitP(value);
    if (VARBITLEN(bits) < 0 || VARSIZE(bits) != static_cast<Size>(VARBITTOTALLEN(VARBITLEN(bits))))
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("invalid bit value"),
                        errdetail("The length of the value contradicts its number of bits.")));
    return {VARBITLEN(bits), VARBITS(bits)};
}

Size value_bytes(int bits) { return static_cast<Size>(VARBITTOTALLEN(bits)); }

void decode(const void *row, int bits, void *room) {
    auto *value = static_cast<VarBit *>(room);
    SET_VARSIZE(value, value_bytes(bits));
    VARBITLEN(value) = bits;
    std::memcpy(VARBITS(value), row, VARBITBYTES(value));
}

void refuse_query(int column, int query) {
    ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
                    errmsg("different bit lengths %u and %u", static_cast<unsigned>(column),
                           static_cast<unsigned>(query))));
}

constexpr IndexSupport support(distance::Metric metric, PGFunction distance) {
    return {.element = distance::Element::bit,
            .metric = metric,
            .max_dimensions = max_indexed_bits,
            .encode = as_stored,
            .value_bytes = value_bytes,
            .decode = decode,
            .distance = distance,
            .refuse_query = refuse_query};
}

constexpr IndexSupport hamming = support(distance::Metric::hamming, dvec_hamming_distance);
constexpr IndexSupport jaccard = support(distance::Metric::jaccard, dvec_jaccard_distance);

}  // namespace

DVEC_COMMON_FUNCTION(hnsw_bit_hamming_support) { PG_RETURN_POINTER(&hamming); }
DVEC_COMMON_FUNCTION(hnsw_bit_jaccard_support) { PG_RETURN_POINTER(&jaccard); }

}  // namespace dvec::postgres
