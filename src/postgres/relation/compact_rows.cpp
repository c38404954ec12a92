#include "postgres/relation/compact_rows.hpp"

#include <map>

#include "engine/base/never_destroyed.hpp"
#include "engine/base/status.hpp"
#include "engine/graph/compact_encoder.hpp"
#include "postgres/bridge/errors.hpp"
#include "postgres/relation/options.hpp"

namespace dvec::postgres {

namespace {

using distance::Element;

bool can_be_compact(const IndexSupport &support) {
    return support.element == Element::float32 || support.element == Element::float16;
}

Element sparse_element(Relation index, const IndexSupport &support, int nonzeros) {
    if (support.element != Element::sparse_float32)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("index \"%s\" cannot have the option \"nonzeros\"",
                               RelationGetRelationName(index)),
                        errdetail("Only indexes on sparsevec have it.")));
    return distance::element_with_room(static_cast<std::size_t>(nonzeros));
}

// Of this process, one for each number of dimensions, of which few are in use.
graph::CompactEncoder *encoder_of(std::size_t dimensions) {
    static base::NeverDestroyed<std::map<std::size_t, graph::CompactEncoder>> encoders;
    return value_or_raise([&] {
        return base::guarded([&]() -> base::Result<graph::CompactEncoder *> {
            return &(*encoders).try_emplace(dimensions, dimensions).first->second;
        });
    });
}

}  // namespace

Element element_to_store(Relation index, const IndexSupport &support) {
    const IndexOptions options = index_options(index);
    if (options.nonzeros > 0)
        return sparse_element(index, support, options.nonzeros);
    if (options.storage != Storage::compact)
        return support.element;
    if (!can_be_compact(support))
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("index \"%s\" cannot have compact storage", RelationGetRelationName(index)),
                 errdetail("Vectors and half vectors can be stored compact.")));
    return options.bits == 8   ? Element::compact8
           : options.bits == 4 ? Element::compact4
                               : Element::compact1;
}

const void *make_compact(const IndexSupport &support, int dimensions, const void *encoded,
                         unsigned bits) {
    const auto count = static_cast<std::size_t>(dimensions);
    graph::CompactEncoder *encoder = encoder_of(count);
    void *compact = palloc(distance::compact_bytes(bits, count));
    if (support.element == Element::float16)
        encoder->encode(static_cast<const distance::Half *>(encoded), support.metric, bits,
                        compact);
    else
        encoder->encode(static_cast<const float *>(encoded), support.metric, bits, compact);
    return compact;
}

}  // namespace dvec::postgres
