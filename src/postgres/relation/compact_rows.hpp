// What indexes with `storage = compact` hold of vectors (distance/compact.hpp).
#pragma once

#include "engine/distance/compact.hpp"
#include "engine/store/description.hpp"
#include "postgres/bridge/access_method.hpp"
#include "postgres/types/index_support.hpp"

namespace dvec::postgres {

// The element that a new index stores, as its class and its options say. Raises where the class's
// vectors cannot be compact.
distance::Element element_to_store(Relation index, const IndexSupport &support);

// Of an index that stores this element: the bits that an element of a compact vector has, 0 where
// vectors are stored as they are.
inline unsigned stored_bits(const store::Shape &shape) {
    return distance::compact_bits(shape.element);
}

// The compact vector of what `support` has encoded, in the current memory context.
const void *make_compact(const IndexSupport &support, int dimensions, const void *encoded,
                         unsigned bits);

}  // namespace dvec::postgres
