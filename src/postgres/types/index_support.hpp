// What an hnsw operator class tells the access method: how its values become the bytes that the
// engine stores and measures. Support function 1 of the class returns a pointer to one of these
// constants; its argument means nothing.
#pragma once

#include "engine/distance/kernel.hpp"
#include "postgres/bridge/postgres.hpp"

namespace dvec::postgres {

struct IndexSupport {
    distance::Element element;
    distance::Metric metric;
    int max_dimensions;

    // A value as the kernel of `element` and `metric` reads it.
    struct Encoded {
        int dimensions;
        // The value's own bytes, or palloc'd in the current memory context. Null for a row that has
        // no place in such an index (a zero vector has no direction); never null for a query.
        const void *bytes;
    };
    enum class Use : unsigned char { row, query };
    using Encode = Encoded (*)(Datum value, Use use);
    Encode encode;

    // For types whose values differ in size, since slots do not: from encoded bytes to what an
    // index of `element` stores of a row, or measures rows by; in the current memory context. Null
    // for a query that is too large for any kernel. Raises for a row that is too large. The
    // function is null where the encoded bytes are what is stored.
    using Fit = const void *(*)(const IndexSupport &support, const Encoded &encoded,
                                distance::Element element, Use use);
    Fit fit = nullptr;

    // The reverse of encoding: writes the SQL value to `room`, which is aligned as palloc does and
    // has value_bytes(dimensions) bytes. Damaged bytes do not make it write more than that.
    Size (*value_bytes)(int dimensions);
    void (*decode)(const void *row, int dimensions, void *room);

    // The function behind our operator of this metric; the kernels return exactly the same values.
    // An operator class for another type with the same bytes (pgvector's) has another operator,
    // which may round differently.
    PGFunction distance;

    // Raises the error that the type's distance function raises for two values whose dimensions
    // differ like these, so that a query fails in the same way with the index as without.
    void (*refuse_query)(int column, int query);
};

}  // namespace dvec::postgres
