// What indexes with `storage = compact` hold of vectors (distance/compact.hpp), and those with
// `nonzeros` of sparse ones (distance/sparse.hpp).
#pragma once

#include "engine/distance/compact.hpp"
#include "engine/distance/sparse.hpp"
#include "engine/store/description.hpp"
#include "postgres/bridge/access_method.hpp"
#include "postgres/types/index_support.hpp"

namespace dvec::postgres {

// The element that a new index stores, as its class and its options say. Raises where the class's
// vectors cannot be stored so.
distance::Element element_to_store(Relation index, const IndexSupport &support);

// Of an index that stores this element: the bits that an element of a compact vector has, 0 where
// vectors are stored as they are.
inline unsigned stored_bits(const store::Shape &shape) {
    return distance::compact_bits(shape.element);
}

// Whether the index has less than its vectors, so that the table has to be asked for distances:
// they are compact, or sparse ones that may be cut.
inline bool holds_less(const store::Shape &shape) {
    return stored_bits(shape) != 0 || distance::may_be_cut(shape.element);
}

// The compact vector of what `support` has encoded, in the current memory context.
const void *make_compact(const IndexSupport &support, int dimensions, const void *encoded,
                         unsigned bits);

}  // namespace dvec::postgres
