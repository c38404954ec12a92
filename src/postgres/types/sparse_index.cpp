// `sparsevec` in hnsw indexes: one IndexSupport for each operator class.
//
// All slots of an index have the same size, so each has room for as many elements as its option
// `nonzeros` says, or for the greatest number that a vector may have which is not to be cut
// (engine/distance/sparse.hpp); unused room is zero. That costs disk space and log, but searches
// read little more than the elements, because these come first.
#include "engine/base/status.hpp"
#include "postgres/bridge/errors.hpp"
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

IndexSupport::Encoded as_run(Datum value, IndexSupport::Use) {
    const SparseVector *vector = sparse_from_datum(value);
    return {vector->dimensions, run_of(vector)};
}

// For cosine distance, which a row of zeros has to no other vector.
IndexSupport::Encoded as_run_with_direction(Datum value, IndexSupport::Use use) {
    const SparseVector *vector = sparse_from_datum(value);
    if (use == IndexSupport::Use::row && norm(vector) == 0)
        return {vector->dimensions, nullptr};
    return {vector->dimensions, run_of(vector)};
}

void refuse_row(std::size_t capacity) {
    ereport(
        ERROR,
        (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
         errmsg("sparsevec cannot have more than %zu non-zero elements for hnsw index", capacity),
         errhint("An index WITH (nonzeros = %zu) takes vectors of any size.", capacity)));
}

const void *fit(const IndexSupport &support, const IndexSupport::Encoded &encoded,
                distance::Element element, IndexSupport::Use use) {
    const auto dimensions = static_cast<std::size_t>(encoded.dimensions);
    const bool is_query = use == IndexSupport::Use::query;
    const std::size_t capacity = is_query ? distance::query_capacity(element, dimensions)
                                          : distance::indexed_capacity(element, dimensions);
    const auto vector =
        distance::SparseView::of(encoded.bytes, static_cast<std::size_t>(max_sparse_elements));
    const bool fits = vector.count <= capacity;
    if (!fits && is_query)
        return nullptr;
    if (!fits && !distance::may_be_cut(element))
        refuse_row(capacity);
    void *slot = palloc(distance::sparse_bytes(capacity));
    value_or_raise([&] {
        return base::guarded([&]() -> base::Result<bool> {
            distance::write_sparse(vector, support.metric, capacity, slot);
            return true;
        });
    });
    return slot;
}

std::size_t decoded_capacity(int dimensions) {
    return distance::indexed_capacity(distance::Element::sparse_float32,
                                      static_cast<std::size_t>(dimensions));
}

// The reverse of what is stored where vectors are not cut.
Size value_bytes(int dimensions) {
    return SparseVector::bytes(static_cast<int>(decoded_capacity(dimensions)));
}

void decode(const void *row, int dimensions, void *room) {
    const std::size_t count = std::min<std::size_t>(
        static_cast<const distance::SparseHead *>(row)->count, decoded_capacity(dimensions));
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
            .fit = fit,
            .value_bytes = value_bytes,
            .decode = decode,
            .distance = distance,
            .refuse_query = [](int left, int right) {
                failure::different_dimensions(SparseVector::type_name, left, right);
            }};
}

constexpr IndexSupport l2 =
    support(distance::Metric::l2_squared, as_run, dvec_sparsevec_l2_distance);
constexpr IndexSupport inner_product =
    support(distance::Metric::inner_product, as_run, dvec_sparsevec_negative_inner_product);
constexpr IndexSupport cosine =
    support(distance::Metric::cosine, as_run_with_direction, dvec_sparsevec_cosine_distance);
constexpr IndexSupport l1 = support(distance::Metric::l1, as_run, dvec_sparsevec_l1_distance);

}  // namespace

DVEC_COMMON_FUNCTION(hnsw_sparsevec_l2_support) { PG_RETURN_POINTER(&l2); }
DVEC_COMMON_FUNCTION(hnsw_sparsevec_ip_support) { PG_RETURN_POINTER(&inner_product); }
DVEC_COMMON_FUNCTION(hnsw_sparsevec_cosine_support) { PG_RETURN_POINTER(&cosine); }
DVEC_COMMON_FUNCTION(hnsw_sparsevec_l1_support) { PG_RETURN_POINTER(&l1); }

}  // namespace dvec::postgres
