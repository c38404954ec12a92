// `vector` and `halfvec` in hnsw indexes: one IndexSupport for each operator class. The index
// stores elements as the value does, so that an index of halves takes half of the memory.
#include "postgres/types/dense.hpp"
#include "postgres/types/index_support.hpp"

extern "C" {
Datum dvec_l2_distance(FunctionCallInfo fcinfo);
Datum dvec_vector_negative_inner_product(FunctionCallInfo fcinfo);
Datum dvec_cosine_distance(FunctionCallInfo fcinfo);
Datum dvec_l1_distance(FunctionCallInfo fcinfo);
Datum dvec_halfvec_l2_distance(FunctionCallInfo fcinfo);
Datum dvec_halfvec_negative_inner_product(FunctionCallInfo fcinfo);
Datum dvec_halfvec_cosine_distance(FunctionCallInfo fcinfo);
Datum dvec_halfvec_l1_distance(FunctionCallInfo fcinfo);
}

namespace dvec::postgres {

namespace {

template <class Element>
IndexSupport::Encoded as_stored(Datum value, IndexSupport::Use) {
    const Dense<Element> *vector = dense_from_datum<Element>(value);
    return {vector->dimensions, vector->values};
}

// For cosine distance. The vector is stored unchanged as well, so that the distance is the
// operator's. A row of zeros has no cosine distance to any vector.
template <class Element>
IndexSupport::Encoded with_direction(Datum value, IndexSupport::Use use) {
    const Dense<Element> *vector = dense_from_datum<Element>(value);
    if (use == IndexSupport::Use::row && norm(vector) == 0)
        return {vector->dimensions, nullptr};
    return {vector->dimensions, vector->values};
}

template <class Element>
void decode(const void *row, int dimensions, void *room) {
    auto *vector = static_cast<Dense<Element> *>(room);
    SET_VARSIZE(vector, Dense<Element>::bytes(dimensions));
    vector->dimensions = static_cast<int16>(dimensions);
    vector->unused = 0;
    std::memcpy(vector->values, row, sizeof(Element) * static_cast<Size>(dimensions));
}

using distance::Metric;

template <class Element>
constexpr IndexSupport support(Metric metric, IndexSupport::Encode encode, PGFunction distance) {
    return {.element = std::is_same_v<Element, Half> ? distance::Element::float16
                                                     : distance::Element::float32,
            .metric = metric,
            .max_dimensions = max_dimensions,
            .encode = encode,
            .value_bytes = Dense<Element>::bytes,
            .decode = decode<Element>,
            .distance = distance,
            .refuse_query = [](int left, int right) {
                failure::different_dimensions(Dense<Element>::type_name, left, right);
            }};
}

constexpr IndexSupport l2 = support<float>(Metric::l2_squared, as_stored<float>, dvec_l2_distance);
constexpr IndexSupport inner_product =
    support<float>(Metric::inner_product, as_stored<float>, dvec_vector_negative_inner_product);
constexpr IndexSupport cosine =
    support<float>(Metric::cosine, with_direction<float>, dvec_cosine_distance);
constexpr IndexSupport l1 = support<float>(Metric::l1, as_stored<float>, dvec_l1_distance);

constexpr IndexSupport half_l2 =
    support<Half>(Metric::l2_squared, as_stored<Half>, dvec_halfvec_l2_distance);
constexpr IndexSupport half_inner_product =
    support<Half>(Metric::inner_product, as_stored<Half>, dvec_halfvec_negative_inner_product);
constexpr IndexSupport half_cosine =
    support<Half>(Metric::cosine, with_direction<Half>, dvec_halfvec_cosine_distance);
constexpr IndexSupport half_l1 =
    support<Half>(Metric::l1, as_stored<Half>, dvec_halfvec_l1_distance);

}  // namespace

DVEC_COMMON_FUNCTION(hnsw_vector_l2_support) { PG_RETURN_POINTER(&l2); }
DVEC_COMMON_FUNCTION(hnsw_vector_ip_support) { PG_RETURN_POINTER(&inner_product); }
DVEC_COMMON_FUNCTION(hnsw_vector_cosine_support) { PG_RETURN_POINTER(&cosine); }
DVEC_COMMON_FUNCTION(hnsw_vector_l1_support) { PG_RETURN_POINTER(&l1); }

DVEC_COMMON_FUNCTION(hnsw_halfvec_l2_support) { PG_RETURN_POINTER(&half_l2); }
DVEC_COMMON_FUNCTION(hnsw_halfvec_ip_support) { PG_RETURN_POINTER(&half_inner_product); }
DVEC_COMMON_FUNCTION(hnsw_halfvec_cosine_support) { PG_RETURN_POINTER(&half_cosine); }
DVEC_COMMON_FUNCTION(hnsw_halfvec_l1_support) { PG_RETURN_POINTER(&half_l1); }

}  // namespace dvec::postgres
