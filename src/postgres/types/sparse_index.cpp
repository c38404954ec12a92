// `sparsevec` in hnsw indexes: one IndexSupport for each operator class.
//
// The slots of an index have one size, so each has room for the most elements that an indexed
// vector may have (engine/distance/sparse.hpp), and what is not used is zero. That costs disk and
// log; searches touch little more than the elements, because these come first.
#include "postgres/types/index_support.hpp"
#include "postgres/types/sparse.hpp"

namespace dvec::postgres {
namespace {

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
    std::memcpy(slot, reinterpret_cast<const char *>(vector) + offsetof(SparseVector, count),
                distance::sparse_bytes(count));
    return slot;
}

IndexSupport::Encoded as_stored(Datum value, IndexSupport::Use) {
    const SparseVector *vector = sparse_from_datum(value);
    return {vector->dimensions, in_slot(vector)};
}

// For cosine distance. A row of zeros has none from anything.
IndexSupport::Encoded with_norm(Datum value, IndexSupport::Use use) {
    const SparseVector *vector = sparse_from_datum(value);
    if (use == IndexSupport::Use::row && norm(vector) == 0)
        return {vector->dimensions, nullptr};
    void *slot = in_slot(vector);
    static_cast<distance::SparseHead *>(slot)->squared_norm = distance::squared_norm(vector->view());
    return {vector->dimensions, slot};
}

constexpr IndexSupport support(distance::Metric metric, IndexSupport::Encode encode) {
    return {.element = distance::Element::sparse_float32,
            .metric = metric,
            .max_dimensions = max_sparse_dimensions,
            .encode = encode,
            .refuse_query = [](int left, int right) {
                failure::different_dimensions(SparseVector::type_name, left, right);
            }};
}

constexpr IndexSupport l2 = support(distance::Metric::l2_squared, as_stored);
constexpr IndexSupport inner_product = support(distance::Metric::inner_product, as_stored);
constexpr IndexSupport cosine = support(distance::Metric::cosine, with_norm);
constexpr IndexSupport l1 = support(distance::Metric::l1, as_stored);

}  // namespace

DVEC_FUNCTION(hnsw_sparsevec_l2_support) { PG_RETURN_POINTER(&l2); }
DVEC_FUNCTION(hnsw_sparsevec_ip_support) { PG_RETURN_POINTER(&inner_product); }
DVEC_FUNCTION(hnsw_sparsevec_cosine_support) { PG_RETURN_POINTER(&cosine); }
DVEC_FUNCTION(hnsw_sparsevec_l1_support) { PG_RETURN_POINTER(&l1); }

}  // namespace dvec::postgres
