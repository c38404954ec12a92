// From an index to what its operator class says about its values.
#pragma once

#include "postgres/bridge/access_method.hpp"
#include "postgres/types/index_support.hpp"

namespace dvec::postgres {

// Number of the support function that returns the IndexSupport.
inline constexpr uint16 support_function = 1;
// Number of the ordering operator.
inline constexpr uint16 distance_strategy = 1;

// Of the index's first column. Valid as long as the program.
const IndexSupport *index_support(Relation index);

// The dimensions that column declares. Raises when it declares none or more than the class can
// index.
int column_dimensions(Relation index, const IndexSupport &support);

// The bytes to store for a value of that column, in the current memory context unless they
// are the value's own; null when it has no place in the index. Raises when the value has not
// `dimensions`.
const void *encode_row(const IndexSupport &support, int dimensions, Datum value);
// The bytes to search for; the same otherwise. A query may be beyond rows.
IndexSupport::Encoded encode_query(const IndexSupport &support, int dimensions, Datum value);

// Of the access method: whether an operator class fits it.
bool validate_opclass(Oid opclass);

}  // namespace dvec::postgres
