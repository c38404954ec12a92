// Distances of bit strings. The type is the server's own; counts are exact and become doubles only
// at the end.
#include "engine/distance/bits.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {
namespace {

struct Operands {
    const bits8 *left;
    const bits8 *right;
    std::size_t bits;  // rounded up to whole bytes; the server keeps the bits behind the last zero
};

Operands operands(FunctionCallInfo fcinfo) {
    VarBit *left = PG_GETARG_VARBIT_P(0);
    VarBit *right = PG_GETARG_VARBIT_P(1);
    if (VARBITLEN(left) != VARBITLEN(right))
        ereport(ERROR,
                (errcode(ERRCODE_DATA_EXCEPTION),
                 errmsg("different bit lengths %u and %u", static_cast<unsigned>(VARBITLEN(left)),
                        static_cast<unsigned>(VARBITLEN(right)))));
    const auto bytes = static_cast<std::size_t>(Min(VARBITBYTES(left), VARBITBYTES(right)));
    return {VARBITS(left), VARBITS(right), 8 * bytes};
}

}  // namespace

DVEC_FUNCTION(hamming_distance) {
    const Operands pair = operands(fcinfo);
    const uint64 differing = distance::hamming_distance(pair.left, pair.right, pair.bits);
    PG_RETURN_FLOAT8(static_cast<double>(differing));
}

DVEC_FUNCTION(jaccard_distance) {
    const Operands pair = operands(fcinfo);
    const distance::BitOverlap overlap = distance::bit_overlap(pair.left, pair.right, pair.bits);
    PG_RETURN_FLOAT8(distance::jaccard_distance(overlap));
}

}  // namespace dvec::postgres
