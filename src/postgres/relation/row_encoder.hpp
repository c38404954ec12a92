// From a row of the table to what an index holds of it: the vector's bytes, and a key for each
// column behind the vector.
#pragma once

#include "engine/graph/format.hpp"
#include "engine/store/description.hpp"
#include "postgres/bridge/access_method.hpp"
#include "postgres/keys/key_support.hpp"
#include "postgres/relation/opclass.hpp"

namespace dvec::postgres {

inline constexpr int most_key_columns = static_cast<int>(graph::max_columns);

// How many columns an index has behind the vector.
int key_column_count(Relation index);

// What the operator class says of column `number` behind the vector, from 0. Valid as long as the
// program.
const KeySupport *key_support(Relation index, int number);

// Refuses columns that no index can have, with hints.
void check_key_columns(Relation index);

// For as long as the index stays open.
struct RowEncoder {
    const IndexSupport *vector;
    int dimensions;
    distance::Element element;  // that the index stores
    unsigned bits;              // of compact vectors; 0: they are not compact
    int key_columns;
    const KeySupport *keys[most_key_columns];
    Oid collations[most_key_columns];

    // `bytes` is null for a row that has no place in the index, and so are its keys then.
    struct Row {
        const void *bytes;
        uint64 keys[most_key_columns];
    };
    // In the current memory context. `values` and `is_null` are of all columns of the index. Raises
    // when the vector has not `dimensions`.
    Row encode(const Datum *values, const bool *is_null) const;
};

// `shape` is the index's.
RowEncoder row_encoder(Relation index, const store::Shape &shape);

}  // namespace dvec::postgres
