// `vector` in hnsw indexes: one IndexSupport for each operator class.
#include "postgres/types/index_support.hpp"
#include "postgres/types/vector.hpp"

namespace dvec::postgres {

namespace {

IndexSupport::Encoded as_stored(Datum value, IndexSupport::Use) {
    const Vector *vector = vector_from_datum(value);
    return {vector->dimensions, vector->values};
}

// Cosine distance orders vectors of length 1 exactly as the negative inner product does.
IndexSupport::Encoded normalised(Datum value, IndexSupport::Use use) {
    const Vector *vector = vector_from_datum(value);
    if (use == IndexSupport::Use::row && norm(vector) == 0)
        return {vector->dimensions, nullptr};
    auto *unit =
        static_cast<float *>(palloc(sizeof(float) * static_cast<Size>(vector->dimensions)));
    write_unit(vector, unit);
    return {vector->dimensions, unit};
}

using distance::Element;
using distance::Metric;

constexpr IndexSupport l2{Element::float32, Metric::l2_squared, max_dimensions, as_stored};
constexpr IndexSupport inner_product{Element::float32, Metric::inner_product, max_dimensions,
                                     as_stored};
constexpr IndexSupport cosine{Element::float32, Metric::inner_product, max_dimensions, normalised};
constexpr IndexSupport l1{Element::float32, Metric::l1, max_dimensions, as_stored};

}  // namespace

DVEC_FUNCTION(hnsw_vector_l2_support) { PG_RETURN_POINTER(&l2); }
DVEC_FUNCTION(hnsw_vector_ip_support) { PG_RETURN_POINTER(&inner_product); }
DVEC_FUNCTION(hnsw_vector_cosine_support) { PG_RETURN_POINTER(&cosine); }
DVEC_FUNCTION(hnsw_vector_l1_support) { PG_RETURN_POINTER(&l1); }

}  // namespace dvec::postgres
