// dvec_simd(): which instruction set this session measures distances with.
#include "engine/distance/isa.hpp"
#include "postgres/bridge/guard.hpp"
#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

DVEC_COMMON_FUNCTION(simd) {
    PG_RETURN_TEXT_P(cstring_to_text(distance::isa_name(distance::active_isa())));
}

}  // namespace dvec::postgres
