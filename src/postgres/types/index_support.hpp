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
        // A query that has more than a row may have in such an index: no kernel can measure it.
        bool beyond_rows = false;
    };
    enum class Use : unsigned char { row, query };
    using Encode = Encoded (*)(Datum value, Use use);
    Encode encode;

    // The other way: writes the value that was encoded to `room`, which is aligned as by palloc and
    // has value_bytes(dimensions) bytes. What damaged bytes say is bounded.
    Size (*value_bytes)(int dimensions);
    void (*decode)(const void *row, int dimensions, void *room);

    // The function behind our operator of this metric. The kernels return its very values. By a
    // class for another type of the same bytes stands another operator, which may round otherwise.
    PGFunction distance;

    // Raises what the type's distance raises for values of these dimensions, which differ: a query
    // must not fail otherwise with the index than without.
    void (*refuse_query)(int column, int query);
};

}  // namespace dvec::postgres
