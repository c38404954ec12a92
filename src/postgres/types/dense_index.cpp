// `vector` and `halfvec` in hnsw indexes: one IndexSupport for each operator class. The index
// stores elements as the value does, so that an index of halves takes half of the memory.
#include "postgres/types/dense.hpp"
#include "postgres/types/index_support.hpp"

namespace dvec::postgres {

namespace {

template <class Element>
IndexSupport::Encoded as_stored(Datum value, IndexSupport::Use) {
    const Dense<Element> *vector = dense_from_datum<Element>(value);
    return {vector->dimensions, vector->values};
}

// For cosine distance, in full as well: the distance is then the operator's. A row of zeros has
// none from anything.
template <class Element>
IndexSupport::Encoded with_direction(Datum value, IndexSupport::Use use) {
    const Dense<Element> *vector = dense_from_datum<Element>(value);
    if (use == IndexSupport::Use::row && norm(vector) == 0)
        return {vector->dimensions, nullptr};
    return {vector->dimensions, vector->values};
}

using distance::Metric;

template <class Element>
constexpr IndexSupport support(Metric metric, IndexSupport::Encode encode) {
    return {.element = std::is_same_v<Element, Half> ? distance::Element::float16
                                                     : distance::Element::float32,
            .metric = metric,
            .max_dimensions = max_dimensions,
            .encode = encode,
            .refuse_query = [](int left, int right) {
                failure::different_dimensions(Dense<Element>::type_name, left, right);
            }};
}

template <class Element>
constexpr IndexSupport l2 = support<Element>(Metric::l2_squared, as_stored<Element>);
template <class Element>
constexpr IndexSupport inner_product = support<Element>(Metric::inner_product, as_stored<Element>);
template <class Element>
constexpr IndexSupport cosine = support<Element>(Metric::cosine, with_direction<Element>);
template <class Element>
constexpr IndexSupport l1 = support<Element>(Metric::l1, as_stored<Element>);

}  // namespace

DVEC_FUNCTION(hnsw_vector_l2_support) { PG_RETURN_POINTER(&l2<float>); }
DVEC_FUNCTION(hnsw_vector_ip_support) { PG_RETURN_POINTER(&inner_product<float>); }
DVEC_FUNCTION(hnsw_vector_cosine_support) { PG_RETURN_POINTER(&cosine<float>); }
DVEC_FUNCTION(hnsw_vector_l1_support) { PG_RETURN_POINTER(&l1<float>); }

DVEC_FUNCTION(hnsw_halfvec_l2_support) { PG_RETURN_POINTER(&l2<Half>); }
DVEC_FUNCTION(hnsw_halfvec_ip_support) { PG_RETURN_POINTER(&inner_product<Half>); }
DVEC_FUNCTION(hnsw_halfvec_cosine_support) { PG_RETURN_POINTER(&cosine<Half>); }
DVEC_FUNCTION(hnsw_halfvec_l1_support) { PG_RETURN_POINTER(&l1<Half>); }

}  // namespace dvec::postgres
