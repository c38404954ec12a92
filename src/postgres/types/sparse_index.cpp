// `sparsevec` in hnsw indexes: one IndexSupport for each operator class.
//
// All slots of an index have the same size, so each has room for the greatest number of elements
// that an indexed vector may have (engine/distance/sparse.hpp); unused room is zero. That costs
// disk space and log, but searches read little more than the elements, because these come first.
#include "postgres/types/index_support.hpp"
#include "postgres/types/sparse.hpp"

extern "C" {
Datum dvec_sparsevec_l2_distance(FunctionCallInfo fcinfo);
Datum dvec_sparsevec_negative_inner_product(FunctionCallInfo fcinfo);
Datum dvec_sparsevec_cosine_distance(FunctionCallInfo fcinfo);
Datum dvec_sparsevec_l1_distance(FunctionCallInfo fcinfo);
}

namespace dvec::postgres {
namespace {

const char *run_of(const SparseVector *vector) {
    return reinterpret_cast<const char *>(vector) + offsetof(SparseVector, count);
}

bool beyond_rows(const SparseVector *vector) {
    return static_cast<std::size_t>(vector->count) >
           distance::indexed_capacity(static_cast<std::size_t>(vector->dimensions));
}

void *in_slot(const SparseVector *vector) {
    const auto dimensions = static_cast<std::size_t>(vector->dimensions);
    const auto count = static_cast<std::size_t>(vector->count);
    const std::size_t capacity = distance::indexed_capacity(dimensions);
    if (count > capacity)
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                 errmsg("sparsevec cannot have more than %zu non-zero elements for hnsw index",
                        capacity)));
    void *slot = palloc0(distance::sparse_bytes(capacity));
    std::memcpy(slot, run_of(vector), distance::sparse_bytes(count));
    return slot;
}

IndexSupport::Encoded as_stored(Datum value, IndexSupport::Use use) {
    const SparseVector *vector = sparse_from_datum(value);
    if (use == IndexSupport::Use::query && beyond_rows(vector))
        return {vector->dimensions, run_of(vector), true};
    return {vector->dimensions, in_slot(vector)};
}

// For cosine distance, which a row of zeros has to no other vector.
IndexSupport::Encoded with_norm(Datum value, IndexSupport::Use use) {
    const SparseVector *vector = sparse_from_datum(value);
    if (use == IndexSupport::Use::row && norm(vector) == 0)
        return {vector->dimensions, nullptr};
    if (use == IndexSupport::Use::query && beyond_rows(vector))
        return {vector->dimensions, run_of(vector), true};
    void *slot = in_slot(vector);
    static_cast<distance::SparseHead *>(slot)->squared_norm =
        distance::squared_norm(vector->view());
    return {vector->dimensions, slot};
}

Size value_bytes(int dimensions) {
    const std::size_t capacity = distance::indexed_capacity(static_cast<std::size_t>(dimensions));
    return SparseVector::bytes(static_cast<int>(capacity));
}

void decode(const void *row, int dimensions, void *room) {
    const std::size_t capacity = distance::indexed_capacity(static_cast<std::size_t>(dimensions));
    const std::size_t count =
        std::min<std::size_t>(static_cast<const distance::SparseHead *>(row)->count, capacity);
    auto *vector = static_cast<SparseVector *>(room);
    SET_VARSIZE(vector, SparseVector::bytes(static_cast<int>(count)));
    vector->dimensions = dimensions;
    std::memcpy(reinterpret_cast<char *>(vector) + offsetof(SparseVector, count), row,
                distance::sparse_bytes(count));
    vector->count = static_cast<int32>(count);
    vector->unused = 0;
}

constexpr IndexSupport support(distance::Metric metric, IndexSupport::Encode encode,
                               PGFunction distance) {
    return {.element = distance::Element::sparse_float32,
            .metric = metric,
            .max_dimensions = max_sparse_dimensions,
            .encode = encode,
            .value_bytes = value_bytes,
            .decode = decode,
            .distance = distance,
            .refuse_query = [](int left, int right) {
                failure::different_dimensions(SparseVector::type_name, left, right);
            }};
}

constexpr IndexSupport l2 =
    support(distance::Metric::l2_squared, as_stored, dvec_sparsevec_l2_distance);
constexpr IndexSupport inner_product =
    support(distance::Metric::inner_product, as_stored, dvec_sparsevec_negative_inner_product);
constexpr IndexSupport cosine =
    support(distance::Metric::cosine, with_norm, dvec_sparsevec_cosine_distance);
constexpr IndexSupport l1 = support(distance::Metric::l1, as_stored, dvec_sparsevec_l1_distance);

}  // namespace

DVEC_COMMON_FUNCTION(hnsw_sparsevec_l2_support) { PG_RETURN_POINTER(&l2); }
DVEC_COMMON_FUNCTION(hnsw_sparsevec_ip_support) { PG_RETURN_POINTER(&inner_product); }
DVEC_COMMON_FUNCTION(hnsw_sparsevec_cosine_support) { PG_RETURN_POINTER(&cosine); }
DVEC_COMMON_FUNCTION(hnsw_sparsevec_l1_support) { PG_RETURN_POINTER(&l1); }

}  // namespace dvec::postgres
